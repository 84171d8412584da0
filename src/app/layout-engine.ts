// The transaction engine for layout commands: state and retention as the settings say.

import type { Engine } from "../transaction/index.ts";
import type { App } from "./app.ts";
import { openTransactionEngine } from "./transaction.ts";

/** Opens the engine. Nothing is read, made or locked yet. */
export function openLayoutEngine(app: App): Engine {
  const { agent } = app.settings;
  return openTransactionEngine(app.system, {
    stateDir: agent.state_dir,
    keepGenerations: agent.history_keep.generations,
    keepDays: agent.history_keep.days,
  });
}
