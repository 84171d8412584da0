// Opens the App of one command: the real world, and the settings unless the command works without.

import type { ArgsDef, GlobalFlags } from "../commands/define.ts";
import { internalError } from "../core/index.ts";
import type { Settings, SettingsFlags, SettingsWarning } from "../settings/index.ts";
import type { System } from "../system/index.ts";
import type { App } from "./app.ts";

export type SettingOverrides = NonNullable<SettingsFlags["overrides"]>;

export interface OpenedApp {
  readonly app: App;
  /** What was odd about the settings although they are right. */
  readonly warnings: readonly SettingsWarning[];
}

/**
 * Loads the settings: flags, environment, env file, configuration file, defaults.
 * @throws kind `settings`, code SETTINGS_INVALID, with everything that is wrong
 */
export async function openApp(
  system: System,
  globals: Pick<GlobalFlags, "config" | "envFile">,
  overrides: SettingOverrides = {},
): Promise<OpenedApp> {
  const { loadSettings } = await import("../settings/index.ts"); // schemas are the slowest part of a start
  const { config, envFile } = globals;
  const flags = { config, envFile, overrides };
  const { settings, origins, warnings } = loadSettings({ system, flags });
  return { app: { system, settings, origins }, warnings };
}

/** The App of a command that is declared to work without settings. */
export function openBareApp(system: System): OpenedApp {
  const app: App = {
    system,
    get settings(): Settings {
      throw internalError("a command declared without settings asked for them");
    },
  };
  return { app, warnings: [] };
}

/** What the flags of a command say about settings: arguments declared with `setting`. */
export function settingOverrides(
  args: ArgsDef,
  given: ReadonlyMap<string, { readonly flag: string; readonly value: unknown }>,
): SettingOverrides {
  const overrides: Record<string, { flag: string; value: unknown }> = {};
  for (const [name, def] of Object.entries(args)) {
    const value = given.get(name);
    if (def.setting !== undefined && value !== undefined) overrides[def.setting] = value;
  }
  return overrides;
}
