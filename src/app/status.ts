// Where `status` gets what it shows: the daemon's file for those without privilege, else a look of its own.

import { joinPath } from "../core/index.ts";
import { worseState, type ProbeName } from "../monitor/sample.ts";
import { createStatusDocument, judgeDaemonFile, type DaemonStatus } from "../status/index.ts";
import type { StatusDocument } from "../status/index.ts";
import { readText } from "../system/index.ts";
import { isProcessAlive } from "../system/process-state.ts";
import { version } from "../version.ts";
import type { App } from "./app.ts";
import { openLayoutEngine } from "./layout-engine.ts";
import { lookOnce } from "./monitor-once.ts";

export interface StatusView {
  readonly status: StatusDocument;
  /** What a person should know about where it comes from. */
  readonly remarks: readonly string[];
}

/** What a status is about; the rest of the probes belong to `health`. */
const probes: readonly ProbeName[] = ["mounts", "space", "links", "models", "backups", "smart"];

/** The status as it can be known by this caller. Takes no lock, writes nothing. */
export async function readStatus(app: App, signal: AbortSignal): Promise<StatusView> {
  const daemon = readDaemonStatus(app);
  const { isRoot } = app.system.environment;
  const { relocated } = app.system.hostPaths;
  if (daemon.state === "fresh" && !isRoot && !relocated) {
    return { status: daemon.status, remarks: [] };
  }
  const { status, remarks } = await lookNow(app, daemon, signal);
  if (daemon.state !== "stale") return { status, remarks };
  const since = daemon.time === "" ? "" : ` (${daemon.time})`;
  return { status, remarks: [...remarks, `${daemon.reason}${since}; this was looked at now`] };
}

function readDaemonStatus({ system }: App): DaemonStatus {
  return judgeDaemonFile({
    text: readText(joinPath(system.hostPaths.runtimeDir, "status.json")),
    nowMs: system.clock.nowMs(),
    isAlive: isProcessAlive,
  });
}

async function lookNow(app: App, daemon: DaemonStatus, signal: AbortSignal): Promise<StatusView> {
  const remarks: string[] = [];
  const look = await lookOnce(app, { signal, only: probes });
  using engine = openLayoutEngine(app);
  const { pending, problem } = engine.state;
  if (problem !== undefined) remarks.push(`the journal cannot be read: ${problem.message}`);
  // What a journal that cannot be read holds is not known: an open transaction, for one. Damage is more than that.
  const doubt = problem === undefined ? "ok" : problem.kind === "integrity" ? "warning" : "unknown";
  const running = daemon.state === "fresh" ? daemon.status.agent : undefined;
  const status = createStatusDocument({
    samples: look.samples,
    overall: worseState(look.overall, doubt),
    // Without a daemon that still evaluates them, what it once called firing is history, not status.
    alerts: running === undefined ? [] : look.alerts,
    pending,
    agent: {
      version: version().version,
      pid: running?.pid ?? null,
      uptimeS: running?.uptime_s ?? null,
    },
    source: "now",
    intervalS: null,
  });
  return { status, remarks };
}
