// Opens the transaction engine from the app.

import type { System } from "../system/index.ts";
import { openEngine, type Engine } from "../transaction/index.ts";
import { statePlaces } from "./state-places.ts";

export { statePlaces, type StatePlaces } from "./state-places.ts";

export interface TransactionSettings {
  readonly stateDir?: string | undefined;
  readonly keepGenerations?: number | undefined;
  readonly keepDays?: number | undefined;
}

/** Opens the engine. Nothing is read, made or locked yet. */
export function openTransactionEngine(
  system: Pick<System, "clock" | "environment" | "hostPaths">,
  settings: TransactionSettings = {},
): Engine {
  return openEngine({
    ...statePlaces(system, settings.stateDir),
    root: system.hostPaths.root,
    user: system.environment.user,
    pid: system.environment.pid,
    clock: system.clock,
    keepGenerations: settings.keepGenerations,
    keepDays: settings.keepDays,
  });
}
