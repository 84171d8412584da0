// When the process that knows what is due should be started: at our own start, at each time of the schedule, after
// the wall clock jumped over one, and once an hour for what could not be done then. Pure but for the clock it is given.

export interface DueLookOptions {
  readonly nowMs: () => number;
  /** The schedule's next time after a moment; undefined: never. */
  readonly nextAfter: (atMs: number) => number | undefined;
}

const hourMs = 3600_000;

/** @returns a function that says, each time it is asked, whether it is time now */
export function createDueLook({ nowMs, nextAfter }: DueLookOptions): () => boolean {
  let lastMs: number | undefined;
  return () => {
    const now = nowMs();
    const before = lastMs;
    // Set back: what lies between was looked at already.
    if (before !== undefined && before > now) lastMs = now;
    const isDue =
      before === undefined ||
      now - before >= hourMs ||
      (before <= now && (nextAfter(before) ?? Number.POSITIVE_INFINITY) <= now);
    if (isDue) lastMs = now;
    return isDue;
  };
}
