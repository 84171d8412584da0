// One session of the daemon: everything that depends on the settings, from opening the history to closing it. A
// reload of the settings ends one session and begins the next; what must outlive it is given from outside.

import { formatDocument } from "../output/index.ts";
import { CitadelError, formatBytes, joinPath, parentOf } from "../core/index.ts";
import { formatMetrics, type ExpositionFormat } from "../metrics/index.ts";
import { openAlertKeeper, type AlertKeeper } from "../monitor/alert-keeper.ts";
import type { Alert, AlertTransition } from "../monitor/alert.ts";
import type { LinksData } from "../monitor/data.ts";
import type { Delivery } from "../monitor/delivery.ts";
import { loopFamilies, sampleFamilies } from "../monitor/exposition.ts";
import { openHistory, type History } from "../monitor/history.ts";
import { isLoopback } from "../monitor/http.ts";
import { runJobs } from "../monitor/jobs.ts";
import { createMonitorLoop, type MonitorLoop } from "../monitor/loop.ts";
import type { Notices } from "../monitor/notices.ts";
import type { AgentFacts } from "../monitor/probes/agent.ts";
import { shippedRules } from "../monitor/rules/index.ts";
import { worstState, type Sample, type SampleState } from "../monitor/sample.ts";
import { createStatusDocument } from "../status/index.ts";
import { fileSystemUsage, writeFileAtomic, type Clock } from "../system/index.ts";
import { trimMemory } from "../system/memory.ts";
import { version } from "../version.ts";
import type { App } from "./app.ts";
import { openLayoutEngine } from "./layout-engine.ts";
import { monitorEngines, storageRoots } from "./monitor-engines.ts";
import { monitorJobs } from "./monitor-jobs.ts";
import { repairLinks } from "./monitor-repair.ts";
import { createDeliveries, queueSinkNames } from "./monitor-sinks.ts";
import { createProbes, historyPath, monitorThresholds } from "./monitor.ts";

export interface SessionContext {
  readonly startedMonotonicMs: number;
  readonly startedAtMs: number;
  readonly notices: Notices;
  /** Global flags that children need too. */
  readonly childFlags: readonly string[];
  /** What the session before knew and could not write. */
  readonly before?: Pick<AlertKeeper, "active" | "backlog" | "identity"> | undefined;
  /** The process ends when it aborts; a session that ends without it is followed by another. */
  readonly stopSignal: AbortSignal;
  /** This is the first session of the process. */
  readonly isFirst: boolean;
}

export interface MonitorSession {
  readonly loop: MonitorLoop;
  readonly keeper: AlertKeeper;
  /** Runs until the signal aborts; then everything it opened is closed. */
  run(signal: AbortSignal): Promise<void>;
  /** The status document as text; undefined before the first round. */
  status(): string | undefined;
  metrics(format: ExpositionFormat): string;
}

const jobsIntervalS = 60;
const trimIntervalS = 300;
/** Less than this is left for the databases of the state: half of what one grows by at a time. */
const spareStateBytes = 512 * 1024;
/** After the first round: the start is over then. */
const firstTrimMs = 20_000;
const runningKey = "daemon.running";
/** A sink that fails this long is worth an alert. */
const sinkFailingMs = 600_000;
/** How long the end waits for probes that ignore it. */
const stopGraceMs = 5000;
const kernelLookBackMs = 600_000;

/** Opens a session; nothing runs yet. @throws kind `settings` or `not-found` for a file that the settings name */
export function openMonitorSession(app: App, context: SessionContext): MonitorSession {
  const { clock, environment, hostPaths, logger } = app.system;
  const { settings } = app;
  const { monitoring } = settings;
  assertGuarded(app);
  const history = openHistory({
    path: historyPath(app),
    clock,
    metricsRetentionDays: monitoring.metrics_retention_days,
    alertsRetentionDays: monitoring.alerts_retention_days,
  });
  let isUnclean = context.isFirst && markRunning(history, environment.pid, clock.nowMs());
  const keeper = openAlertKeeper({
    history,
    rules: shippedRules,
    thresholds: monitorThresholds(app),
    sinks: queueSinkNames(app),
    before: context.before,
  });
  const wakeAll = () => {
    for (const delivery of deliveries) delivery.wake();
  };
  const facts = (): AgentFacts => {
    noticeFailingSinks(context.notices, deliveries, clock.nowMs());
    const restartedUncleanly = isUnclean;
    isUnclean = false; // told once: the alert keeps itself for its time
    return {
      queues: Object.fromEntries(
        Object.entries(keeper.waiting()).map(([sink, count]) => [`outbox_${sink}`, count]),
      ),
      probeErrors: loop
        .states()
        .flatMap(({ name, lastError, consecutiveFailures }) =>
          lastError === null
            ? []
            : [{ probe: name, ...lastError, consecutive: consecutiveFailures }],
        ),
      restartedUncleanly,
      historyProblem: history.problem ?? stateDiskProblem(parentOf(historyPath(app))),
      notices: context.notices.take(),
    };
  };
  const probes = monitoring.enable_monitoring
    ? createProbes(app, {
        roots: storageRoots(app),
        engines: monitorEngines(app, history.memory),
        memory: history.memory,
        points: history.points,
        agent: { startedMonotonicMs: context.startedMonotonicMs, facts },
        writesLatency: true,
        kernelLookBackMs,
        smartFromFile: true,
      })
    : [];
  let sessionSignal = AbortSignal.abort();
  let isRepairing = false;
  const repair = async (links: LinksData) => {
    if (isRepairing) return;
    isRepairing = true;
    const outcome = await repairLinks(app, links, {
      memory: history.memory,
      notices: context.notices,
      signal: sessionSignal,
    });
    isRepairing = false;
    for (const path of outcome.repaired) logger.log("warn", "link restored", { path });
    if (outcome.problem !== undefined)
      logger.log("warn", "links cannot be mended", { reason: outcome.problem });
    if (outcome.repaired.length > 0) loop.runNow("links");
    if (outcome.repaired.length > 0 || outcome.exhausted.length > 0) loop.runNow("agent");
  };
  const onSample = (sample: Sample, transitions: readonly AlertTransition[]) => {
    for (const each of transitions) logTransition(app, each);
    if (sample.error !== undefined)
      logger.log("debug", "probe failed", { probe: sample.probe, error: sample.error.message });
    const { data } = sample as Sample<"links">;
    if (sample.probe === "links" && data !== null && settings.symlinks.repair_broken_links)
      void repair(data);
    if (transitions.length === 0) return;
    wakeAll();
    if (loop.ready) publish();
  };
  const loop = createMonitorLoop({ clock, probes, history, keeper, onSample });

  const overall = () => overallState(Object.values(loop.samples()), keeper.active);
  const document = () => {
    using engine = openLayoutEngine(app);
    return createStatusDocument({
      samples: loop.samples(),
      overall: overall(),
      alerts: keeper.active,
      pending: engine.state.pending,
      agent: {
        version: version().version,
        pid: environment.pid,
        uptimeS: (clock.monotonicMs() - context.startedMonotonicMs) / 1000,
      },
      source: "daemon",
      intervalS: monitoring.check_interval,
    });
  };
  let latest: string | undefined;
  const render = () => {
    const envelope = { host: environment.hostname, nowMs: clock.nowMs() };
    latest = formatDocument("status", document(), envelope);
    return latest;
  };
  const publish = () => {
    try {
      writeFileAtomic(joinPath(hostPaths.runtimeDir, "status.json"), `${render()}\n`);
    } catch (thrown) {
      // Nobody is stopped by a status that cannot be written; /status has it all the same.
      logger.log("debug", "status.json cannot be written", { error: thrown });
    }
  };
  const metrics = (format: ExpositionFormat) =>
    formatMetrics(
      [
        ...sampleFamilies(loop.samples()),
        ...loopFamilies({
          version: version(),
          startedAtMs: context.startedAtMs,
          samples: loop.samples(),
          states: loop.states(),
          alerts: keeper.active,
          sinks: deliveries.map((delivery) => delivery.state()),
          waiting: keeper.waiting(),
          overall: overall(),
        }),
      ],
      format,
    );
  const deliveries: readonly Delivery[] = createDeliveries(app, {
    clock,
    random: Math.random,
    keeper,
    status: () => JSON.parse(render()) as Record<string, unknown>,
    metrics,
    isTurning: loop.isTurning,
    onFailure: (sink, reason) =>
      logger.log("warn", "sink does not take messages", { sink, reason }),
    onRecovery: (sink) => logger.log("info", "sink takes messages again", { sink }),
  });
  const every = async (intervalS: number, work: () => void, signal: AbortSignal) => {
    while (!signal.aborted) {
      work();
      await clock.sleep(intervalS * 1000, signal);
    }
  };
  const pushes = deliveries.some((delivery) => delivery.state().name === "push");
  return {
    loop,
    keeper,
    status: () => (loop.ready ? (latest ?? render()) : undefined),
    metrics,
    async run(signal) {
      sessionSignal = signal;
      const close = () => {
        if (context.stopSignal.aborted) history.memory.write(runningKey, null);
        history[Symbol.dispose]();
      };
      if (!monitoring.enable_monitoring) {
        await untilAborted(signal);
        return close();
      }
      const work = [loop.run(signal), ...deliveries.map((delivery) => delivery.run(signal))];
      const afterFirstRound = async () => {
        await loop.firstRound;
        const queueStatus = () => {
          keeper.addStatus("push", render(), clock.nowMs());
          wakeAll();
        };
        await Promise.all([
          every(monitoring.check_interval, publish, signal),
          // An idle heap grows to twice its content before it is collected by itself, and the pages of the program
          // that only its start needed stay.
          keepSmall(clock, signal),
          pushes ? every(settings.agent.push_interval, queueStatus, signal) : undefined,
          runJobs(
            {
              clock,
              jobs: monitorJobs(app, context.childFlags),
              notices: context.notices,
              intervalS: jobsIntervalS,
              onStart: (job) => logger.log("info", "job started", { job }),
            },
            signal,
          ),
        ]);
      };
      const all = Promise.all([...work, afterFirstRound()]);
      await untilAborted(signal, all);
      // A probe that hangs in the kernel is not waited for.
      await Promise.race([all, clock.sleep(stopGraceMs)]);
      close();
    },
  };
}

/** Whoever can reach the ports reads the host: beyond loopback they are given to holders of the token alone. */
function assertGuarded({ settings }: App): void {
  const { bind } = settings.monitoring;
  if (isLoopback(bind) || settings.agent.http_token !== undefined) return;
  throw new CitadelError({
    kind: "settings",
    code: "HTTP_TOKEN_NEEDED",
    message: `agent.http_token is not set: without it the daemon does not listen on ${bind}`,
    hint: "set CITADEL_HTTP_TOKEN_FILE (or CITADEL_HTTP_TOKEN), or STORAGE_MONITOR_BIND=127.0.0.1",
  });
}

/** Worst of what could not be seen and of what fires: a finding that must still prove itself is no state yet. */
function overallState(
  samples: readonly (Sample | undefined)[],
  alerts: readonly Alert[],
): SampleState {
  const seen = samples.flatMap((sample): SampleState[] => {
    if (sample === undefined) return [];
    const { state } = sample;
    return [state === "warning" || state === "critical" ? "ok" : state];
  });
  const firing = alerts.filter(({ state }) => state === "firing").map(({ severity }) => severity);
  return worstState([...seen, ...firing]);
}

/** Resolves when the signal aborts; rejects when the work fails before. */
async function untilAborted(signal: AbortSignal, work?: Promise<unknown>): Promise<void> {
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await (work === undefined ? aborted : Promise.race([aborted, work.then(() => aborted)]));
}

/** A full disk is said at once: what the databases set aside for themselves lasts for a while. */
function stateDiskProblem(directory: string): string | null {
  try {
    const { availableBytes } = fileSystemUsage(directory);
    return availableBytes >= spareStateBytes
      ? null
      : `${formatBytes(availableBytes)} free on the disk of ${directory}`;
  } catch {
    return null; // the history itself says what is wrong there
  }
}

/** Trims the process's memory, soon and then now and again. */
async function keepSmall(clock: Clock, signal: AbortSignal): Promise<void> {
  for (let waitMs = firstTrimMs; !signal.aborted; waitMs = trimIntervalS * 1000) {
    await clock.sleep(waitMs, signal);
    if (!signal.aborted) trimMemory();
  }
}

/** @returns whether the run before did not end cleanly */
function markRunning(history: History, pid: number, nowMs: number): boolean {
  const before = history.memory.read(runningKey);
  history.memory.write(runningKey, { pid, sinceMs: nowMs });
  return before !== undefined && before !== null;
}

function logTransition({ system }: App, { kind, alert }: AlertTransition): void {
  if (kind === "pending" || kind === "dropped") return;
  const { name, severity, labels, summary, fingerprint } = alert;
  const level = kind === "resolved" ? "info" : severity === "critical" ? "error" : "warn";
  const verb = kind === "resolved" ? "alert resolved" : "alert";
  system.logger.log(level, `${verb}: ${summary}`, { name, severity, id: fingerprint, ...labels });
}

function noticeFailingSinks(
  notices: Notices,
  deliveries: readonly Delivery[],
  nowMs: number,
): void {
  for (const delivery of deliveries) {
    const { name, failingSinceMs, lastError } = delivery.state();
    const labels = { sink: name };
    if (failingSinceMs === null || nowMs - failingSinceMs < sinkFailingMs) {
      notices.clear("SINK_FAILING", labels);
      continue;
    }
    notices.set({
      name: "SINK_FAILING",
      severity: "warning",
      labels,
      summary: `nothing reaches the sink ${name}: ${lastError ?? "unknown reason"}`,
      advice: "messages wait and are sent when it answers; see its address, token and network",
    });
  }
}
