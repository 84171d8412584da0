// What every command gets: the outside world and the settings. Each engine is opened by a factory of its own in
// this folder (`app/layout.ts`, `app/backup.ts`, …), so that a command loads only the engine it needs.

import type { Origin, Settings } from "../settings/index.ts";
import type { System } from "../system/index.ts";

export interface App {
  readonly system: System;
  readonly settings: Settings;
  /** Where each setting came from, by `group.key`; absent where nobody asked. */
  readonly origins?: ReadonlyMap<string, Origin> | undefined;
}
