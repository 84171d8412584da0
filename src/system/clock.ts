// The one place where time is read. Tests replace it (`test/support/manual-clock.ts`); nothing else is replaced.

export interface Clock {
  /** Wall clock, milliseconds since 1970: for schedules and what people read. */
  nowMs(): number;
  /** Monotonic clock in milliseconds: for intervals and deadlines; jumps of the wall clock do not touch it. */
  monotonicMs(): number;
  /** Resolves after `durationMs`, at once when `signal` aborts (check `signal.aborted`); never rejects. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep(durationMs, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, durationMs);
      signal?.addEventListener("abort", done, { once: true });
    });
  },
};
