// SIGINT and SIGTERM: the first asks the work at hand to end, the second ends the process at once.

import { CitadelError } from "../core/index.ts";

export type StopSignal = "SIGINT" | "SIGTERM";

export interface SignalWatch {
  /** Aborts on the first SIGINT or SIGTERM, with a CitadelError of kind `cancelled` as its reason. */
  readonly signal: AbortSignal;
  /** Which one came; undefined: none. */
  received(): StopSignal | undefined;
  /** Ends the work for another reason: nobody reads the output any more. */
  abort(reason: CitadelError): void;
}

/** 128 + the signal's number, as shells report it. */
export const exitCodeOfSignal: Record<StopSignal, 130 | 143> = { SIGINT: 130, SIGTERM: 143 };

/** The reason of an abort by a signal: INTERRUPTED is exit 130, TERMINATED is 143. */
function interruption(name: StopSignal): CitadelError {
  return new CitadelError({
    kind: "cancelled",
    code: name === "SIGINT" ? "INTERRUPTED" : "TERMINATED",
    message: `interrupted by ${name}`,
    hint: "run the same command again; `citadel-agent status` shows what is pending",
  });
}

/**
 * Listens from now on. SIGHUP keeps its default: a handler would undo what `nohup` set up.
 */
export function watchSignals(): SignalWatch {
  const controller = new AbortController();
  let received: StopSignal | undefined;
  const hear = (name: StopSignal) => () => {
    if (received !== undefined) process.exit(exitCodeOfSignal[name]);
    received = name;
    controller.abort(interruption(name));
  };
  process.on("SIGINT", hear("SIGINT"));
  process.on("SIGTERM", hear("SIGTERM"));
  return {
    signal: controller.signal,
    received: () => received,
    abort: (reason) => controller.abort(reason),
  };
}

export interface ReloadWatch extends Disposable {
  /** Resolves true at the next SIGHUP (or at once, if one came since the last call), false when `signal` aborts. */
  next(signal: AbortSignal): Promise<boolean>;
}

/** Listens for SIGHUP from now on: for a daemon, which reloads its settings then. */
export function watchReload(): ReloadWatch {
  let pending = false;
  let wake: (() => void) | undefined;
  const hear = () => {
    pending = true;
    wake?.();
  };
  process.on("SIGHUP", hear);
  return {
    next: (signal) =>
      new Promise((resolve) => {
        const finish = (came: boolean) => {
          wake = undefined;
          if (came) pending = false;
          resolve(came);
        };
        if (pending) return finish(true);
        wake = () => finish(true);
        signal.addEventListener("abort", () => finish(false), { once: true });
      }),
    [Symbol.dispose]: () => {
      process.off("SIGHUP", hear);
    },
  };
}
