// The incident bundle of this host: the host's own evidence, and what the agent knows. Works with broken settings.

import { formatTime, Secret } from "../core/index.ts";
import {
  commandCollector,
  hostCollectors,
  logCollector,
  type Collector,
} from "../incident/index.ts";
import { inspectSettings, type InspectedSettings, type SettingsFlags } from "../settings/index.ts";
import { selfCommand, type System } from "../system/index.ts";

export interface IncidentInputs {
  readonly collectors: readonly Collector[];
  /** Values that must not appear in the bundle. */
  readonly secrets: readonly string[];
  /** `citadel-incident-<host>-<time>`: directory in the archive and its file name. */
  readonly name: string;
}

/** Commands of our own whose documents belong into the bundle; each runs as a child, so that none can hang us. */
const ownDocuments: readonly (readonly [string, readonly string[]])[] = [
  ["agent/version.json", ["--version", "--json"]],
  ["agent/settings.json", ["config", "show", "--origin", "--json"]],
  ["agent/doctor.json", ["doctor", "--json"]],
  ["layout/links.json", ["links", "verify", "--json"]],
  ["layout/status-now.json", ["status", "--json"]],
  ["layout/history.json", ["history", "--log", "--json"]],
  ["agent/alerts.json", ["alerts", "list", "--json"]],
  ["backup/snapshots.json", ["backup", "list", "--json"]],
  ["backup/jobs.json", ["backup", "status", "--json"]],
];

/** @param flags the settings sources that were named, handed on to the children */
export function incidentInputs(system: System, flags: SettingsFlags): IncidentInputs {
  const inspected = inspectSettings({ system, flags });
  const { hostPaths, environment, clock } = system;
  const passed = [
    ...(hostPaths.relocated ? ["--root", hostPaths.root] : []),
    ...(flags.config === undefined ? [] : ["--config", flags.config]),
    ...(flags.envFile === undefined ? [] : ["--env-file", flags.envFile]),
  ];
  // Our own children judge the settings that we were given; the tools of the host get a fixed environment.
  const ownEnvironment = Object.fromEntries(
    Object.entries(environment.variables).flatMap(([name, value]) =>
      value === undefined || name === "PATH" ? [] : [[name, value]],
    ),
  );
  const logs = hostPaths.real(inspected.settings.paths.app_logs);
  const time = formatTime(clock.nowMs()).replace(/[-:]/g, "").replace(/\.\d+/, "");
  return {
    collectors: [
      ...hostCollectors(hostPaths),
      logCollector("agent/agent.log", logs, "agent.log"),
      logCollector("agent/agent.log.1", logs, "agent.log.1"),
      ...ownDocuments.map(([file, args]) =>
        commandCollector(file, [...selfCommand(), ...args, ...passed], {
          plain: true,
          environment: ownEnvironment,
        }),
      ),
    ],
    secrets: secretsOf(inspected),
    name: `citadel-incident-${environment.hostname}-${time}`,
  };
}

function secretsOf({ settings }: InspectedSettings): string[] {
  const values = Object.values(settings).flatMap((group) => Object.values(group as object));
  return values.filter((value) => value instanceof Secret).map((secret) => secret.reveal());
}
