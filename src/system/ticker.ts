// Looks in again and again while something long goes on, until it is disposed of: for progress that nobody announces.

import type { Clock } from "./clock.ts";

/** Calls `tick` every so often; what it throws is for nobody, so it must not throw. End it with `using`. */
export function startTicker(
  clock: Pick<Clock, "sleep">,
  everyMs: number,
  tick: () => void,
): Disposable {
  const stop = new AbortController();
  void (async () => {
    for (;;) {
      await clock.sleep(everyMs, stop.signal);
      if (stop.signal.aborted) return;
      tick();
    }
  })();
  return { [Symbol.dispose]: () => stop.abort() };
}
