// The transaction engine for layout commands: state and retention as the settings say.

import type { Engine } from "../transaction/index.ts";
import { assertMayChange } from "../transaction/privilege.ts";
import type { App } from "./app.ts";
import { statePlaces } from "./state-places.ts";
import { openTransactionEngine } from "./transaction.ts";

/**
 * Says no where a caller without privilege would be shown an empty history although root may have one that he cannot
 * read: nothing seen is not nothing there.
 * @throws kind `permission`, code PERMISSION
 */
export function assertHistoryKnown(app: App): void {
  const { privileged, runtimeDir, stateDir, systemStateDir } = statePlaces(
    app.system,
    app.settings.agent.state_dir,
  );
  assertMayChange({ privileged, runtimeDir, stateDir, systemStateDir }, undefined);
}

/** Opens the engine. Nothing is read, made or locked yet. */
export function openLayoutEngine(app: App): Engine {
  const { agent } = app.settings;
  return openTransactionEngine(app.system, {
    stateDir: agent.state_dir,
    keepGenerations: agent.history_keep.generations,
    keepDays: agent.history_keep.days,
  });
}
