// The long-running process: one instance, sessions of the monitor, HTTP, the service manager, reload and a graceful
// stop. What a session does is app/monitor-session.ts.

import type { App } from "./app/app.ts";
import { servePorts } from "./app/monitor-http.ts";
import { openMonitorSession, type MonitorSession } from "./app/monitor-session.ts";
import { formatTime, joinPath, messageOf } from "./core/index.ts";
import { createNotices } from "./monitor/notices.ts";
import { acquireLock } from "./system/lock.ts";
import { removeFile } from "./system/raw-file.ts";
import { openServiceManager, type ServiceManager } from "./system/sd-notify.ts";
import { watchReload } from "./system/signals.ts";

export interface DaemonOptions {
  readonly app: App;
  /** Reads the settings again. @throws kind `settings` */
  readonly reload: () => Promise<App>;
  readonly childFlags: readonly string[];
  readonly lockTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** A status line is at most this old. */
const restMs = 20_000;
/** Ready is told at the latest then: a probe that hangs does not make the start fail. */
const readyWithinMs = 30_000;

/**
 * Runs until the signal aborts.
 * @throws kind `locked` (exit 5) when another daemon runs
 */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const { signal } = options;
  const { clock, environment, hostPaths, logger } = options.app.system;
  using _lock = await acquireLock({
    directory: hostPaths.runtimeDir,
    domain: "daemon",
    command: "monitor",
    timeoutMs: options.lockTimeoutMs,
    clock,
    signal,
  });
  const manager = openServiceManager(environment.variables, environment.pid);
  if (manager.channel === "systemd-notify")
    logger.log("warn", "no FFI here: systemd is told through systemd-notify", {});
  using reloads = watchReload();
  const shared = {
    startedMonotonicMs: clock.monotonicMs(),
    startedAtMs: clock.nowMs(),
    notices: createNotices(),
    childFlags: options.childFlags,
    stopSignal: signal,
  };
  let { app } = options;
  let session = openMonitorSession(app, { ...shared, isFirst: true });
  logger.log("info", "monitor started", { pid: environment.pid });
  while (!signal.aborted) {
    const ended = await runSession(app, session, { manager, reloads, signal, shared });
    if (ended === "stop") break;
    const next = await reload(options, app, session, shared, manager);
    ({ app, session } = next);
  }
  await manager.notify({ STOPPING: "1", STATUS: "stopping" });
  removeFile(joinPath(hostPaths.runtimeDir, "status.json"));
  logger.log("info", "monitor stopped");
}

type Shared = Pick<
  Parameters<typeof openMonitorSession>[1],
  "startedMonotonicMs" | "startedAtMs" | "notices" | "childFlags" | "stopSignal"
>;

interface SessionRun {
  readonly manager: ServiceManager;
  readonly reloads: ReturnType<typeof watchReload>;
  readonly signal: AbortSignal;
  readonly shared: Shared;
}

/** One session from the ports to the last flush. @returns why it ended */
async function runSession(
  app: App,
  session: MonitorSession,
  { manager, reloads, signal, shared }: SessionRun,
): Promise<"stop" | "reload"> {
  const { clock } = app.system;
  const isEnabled = app.settings.monitoring.enable_monitoring;
  const end = new AbortController();
  const reloaded = reloads.next(signal);
  const stopped = AbortSignal.any([signal, end.signal]);
  void reloaded.then((came) => came && end.abort());
  const { loop } = session;
  const view = {
    stuck: () => (loop.isTurning() ? undefined : "the loop is stuck"),
    missing: () => {
      if (!isEnabled) return ["monitoring is disabled"];
      return loop.states().flatMap(({ name, runs }) => (runs === 0 ? [name] : []));
    },
    status: session.status,
    metrics: session.metrics,
  };
  const onNotice = () => loop.runNow("agent");
  const ports = servePorts(app, { view, notices: shared.notices, onNotice }, stopped);
  const heart = beat(app, session, manager, stopped);
  await Promise.all([session.run(stopped), ports, heart]);
  await clock.sleep(0);
  return signal.aborted ? "stop" : "reload";
}

/** Tells the manager that we are ready, and feeds its watchdog only while the loop truly turns. */
async function beat(
  app: App,
  session: MonitorSession,
  manager: ServiceManager,
  signal: AbortSignal,
): Promise<void> {
  const { clock, logger } = app.system;
  const isEnabled = app.settings.monitoring.enable_monitoring;
  const first = clock.monotonicMs();
  const stopped = clock.sleep(2 ** 31 - 1, signal);
  if (isEnabled)
    await Promise.race([session.loop.firstRound, stopped, clock.sleep(readyWithinMs, signal)]);
  if (signal.aborted) return;
  const tookS = ((clock.monotonicMs() - first) / 1000).toFixed(1);
  const word = isEnabled ? `first look done in ${tookS} s` : "monitoring is disabled";
  logger.log("info", `ready: ${word}`);
  await manager.notify({ READY: "1", STATUS: word });
  if (manager.channel === "none") return;
  const isWatched = manager.watchdogMs !== undefined;
  const intervalMs = Math.min(restMs, (manager.watchdogMs ?? restMs * 3) / 3);
  let told = word;
  while (!signal.aborted) {
    if (session.loop.isTurning()) {
      const status = isEnabled ? statusText(session) : word;
      const fields = status === told ? {} : { STATUS: status };
      told = status;
      await manager.notify({ ...(isWatched ? { WATCHDOG: "1" } : {}), ...fields });
    }
    await clock.sleep(intervalMs, signal);
  }
}

/** One line for `systemctl status`. */
function statusText({ keeper, loop }: MonitorSession): string {
  const firing = keeper.active.filter(({ state }) => state === "firing");
  const failing = loop.states().filter(({ consecutiveFailures }) => consecutiveFailures > 0);
  const critical = firing.filter(({ severity }) => severity === "critical").length;
  const alerts =
    firing.length === 0 ? "no alerts" : `${firing.length} alerts (${critical} critical)`;
  const probes = `${loop.states().length - failing.length} of ${loop.states().length} probes work`;
  return `${alerts}, ${probes}`;
}

/** The settings anew; wrong ones keep the old, with an alert. */
async function reload(
  options: DaemonOptions,
  app: App,
  session: MonitorSession,
  shared: Shared,
  manager: ServiceManager,
): Promise<{ readonly app: App; readonly session: MonitorSession }> {
  const { clock, logger } = app.system;
  const monotonicUs = String(Math.round(clock.monotonicMs() * 1000));
  await manager.notify({ RELOADING: "1", MONOTONIC_USEC: monotonicUs, STATUS: "reloading" });
  const context = { ...shared, before: session.keeper, isFirst: false };
  try {
    const next = await options.reload();
    const opened = openMonitorSession(next, context);
    shared.notices.clear("SETTINGS_NOT_RELOADED");
    logger.log("info", "settings reloaded");
    return { app: next, session: opened };
  } catch (thrown) {
    const message = messageOf(thrown);
    logger.log("error", "settings not reloaded, the old ones stay", { reason: message });
    shared.notices.set({
      name: "SETTINGS_NOT_RELOADED",
      severity: "warning",
      labels: {},
      summary: `the settings were not reloaded at ${formatTime(clock.nowMs())}: ${message}`,
      advice: "`citadel-agent config check` shows what is wrong; then reload again",
    });
    return { app, session: openMonitorSession(app, context) };
  }
}
