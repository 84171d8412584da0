// A clock that stands still until a test moves it: the one thing that tests replace.

import type { Clock } from "../../src/system/clock.ts";

interface Sleeper {
  readonly untilMs: number;
  readonly wake: () => void;
}

export class ManualClock implements Clock {
  #sleepers: Sleeper[] = [];
  #monotonicMs = 0;

  /** @param wallMs the wall clock at the start; it moves with the monotonic one */
  constructor(private wallMs = Date.UTC(2026, 0, 1)) {}

  nowMs(): number {
    return this.wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const sleeper = { untilMs: this.#monotonicMs + durationMs, wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener("abort", () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        resolve();
      });
    });
  }

  /** How many wait for this clock. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  /** Moves both clocks and wakes who is due, in order, letting each run before the next. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#monotonicMs + durationMs;
    while (true) {
      const due = this.#sleepers
        .filter((sleeper) => sleeper.untilMs <= endMs)
        .sort((a, b) => a.untilMs - b.untilMs)[0];
      if (due === undefined) break;
      this.#move(Math.max(due.untilMs, this.#monotonicMs));
      this.#sleepers = this.#sleepers.filter((other) => other !== due);
      due.wake();
      await settle();
    }
    this.#move(endMs);
    await settle();
  }

  /** Moves the wall clock alone, as an administrator or NTP does. */
  jumpWall(byMs: number): void {
    this.wallMs += byMs;
  }

  #move(toMs: number): void {
    this.wallMs += toMs - this.#monotonicMs;
    this.#monotonicMs = toMs;
  }
}

/** Lets what was woken run up to its next wait. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}
