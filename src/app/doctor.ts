// Doctor's checks as this host and these settings need them.

import {
  binaryCheck,
  clockCheck,
  portCheck,
  rightsCheck,
  stateDiskCheck,
  databasesCheck,
  toolsCheck,
  unitCheck,
  type DoctorCheck,
} from "../doctor/index.ts";
import { catalogMigrations } from "../backup/catalog/schema.ts";
import { historyMigrations } from "../monitor/history-schema.ts";
import { journalMigrations } from "../transaction/journal-schema.ts";
import { childEnvironment, readText } from "../system/index.ts";
import { joinPath } from "../core/index.ts";
import { version } from "../version.ts";
import type { App } from "./app.ts";
import { statePlaces } from "./transaction.ts";

/** Every check that makes sense here; below `--root` nothing asks the running host. */
export function doctorChecks({ system, settings }: App): DoctorCheck[] {
  const { environment, hostPaths, clock } = system;
  const { stateDir } = statePlaces(system, settings.agent.state_dir);
  const footing = [
    rightsCheck(environment, hostPaths),
    stateDiskCheck(stateDir, hostPaths),
    databasesCheck([
      { path: joinPath(stateDir, "journal.db"), name: "journal", migrations: journalMigrations },
      { path: joinPath(stateDir, "catalog.db"), name: "catalogue", migrations: catalogMigrations },
      { path: joinPath(stateDir, "history.db"), name: "history", migrations: historyMigrations },
    ]),
  ];
  if (hostPaths.relocated) return footing;
  const builtMs = Date.parse(version().built);
  const daemonPid = readDaemonPid(hostPaths.runtimeDir);
  const { metrics_port, health_check_port } = settings.monitoring;
  return [
    ...footing,
    binaryCheck(environment.executable, environment),
    toolsCheck(childEnvironment["PATH"] ?? ""),
    clockCheck(clock, Number.isNaN(builtMs) ? 0 : builtMs),
    unitCheck(),
    portCheck("metrics_port", "port of the metrics", metrics_port, daemonPid),
    portCheck("health_port", "port of the health page", health_check_port, daemonPid),
    portCheck("serve_port", "port of the HTTP service", settings.service.port, daemonPid),
  ];
}

/** The pid that the daemon wrote into its status; null when there is none or it is not readable. */
function readDaemonPid(runtimeDir: string): number | null {
  const text = readText(joinPath(runtimeDir, "status.json"));
  if (text === undefined) return null;
  try {
    const status = JSON.parse(text) as { agent?: { pid?: unknown } };
    return typeof status.agent?.pid === "number" ? status.agent.pid : null;
  } catch {
    return null; // a status that does not parse says nothing about the port
  }
}
