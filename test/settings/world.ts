// A host of its own for each test of the settings: a temporary root with /etc/citadel, a working directory, and an
// environment that holds only what the test puts there.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import {
  inspectSettings,
  type InspectedSettings,
  type SettingsFlags,
} from "../../src/settings/index.ts";
import { createHostPaths, readEnvironment } from "../../src/system/index.ts";

export const isRoot = readEnvironment().isRoot;

export class World implements Disposable {
  readonly root = mkdtempSync(`${tmpdir()}/citadel-settings-`);
  readonly workingDirectory = `${this.root}/work`;
  readonly etc = `${this.root}/etc/citadel`;

  constructor() {
    mkdirSync(this.workingDirectory, { mode: 0o755 });
    mkdirSync(this.etc, { recursive: true, mode: 0o755 });
  }

  /** Writes a file below the root, 0600. @returns its real path */
  write(path: string, text: string, mode = 0o600): string {
    const real = `${this.root}/${path}`;
    writeFileSync(real, text, { mode });
    return real;
  }

  inspect(
    variables: Readonly<Record<string, string>> = {},
    flags: SettingsFlags = {},
  ): InspectedSettings {
    const environment = {
      ...readEnvironment(),
      variables,
      workingDirectory: this.workingDirectory,
    };
    return inspectSettings({
      system: { environment, hostPaths: createHostPaths(this.root) },
      flags,
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** The settings that `variables` give on an empty host. */
export function inspectWith(variables: Readonly<Record<string, string>>): InspectedSettings {
  using world = new World();
  return world.inspect(variables);
}

/** The rules that are broken, with their names. */
export function problemsOf(inspected: InspectedSettings): string[] {
  return inspected.problems.map(({ name, rule }) => `${name}: ${rule}`);
}
