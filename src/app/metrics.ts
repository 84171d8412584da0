// The metrics text for `metrics`: from the daemon that runs here, else from a look of our own.

import { formatMetrics, type ExpositionFormat } from "../metrics/index.ts";
import { loopFamilies, sampleFamilies } from "../monitor/exposition.ts";
import { createHttpClient } from "../system/http-client.ts";
import { readLockHolder } from "../system/lock.ts";
import { contentTypes } from "../metrics/index.ts";
import { version } from "../version.ts";
import type { App } from "./app.ts";
import { lookOnce } from "./monitor-once.ts";

export interface MetricsText {
  readonly source: "daemon" | "now";
  readonly text: string;
}

const askTimeoutMs = 3000;

export async function readMetrics(
  app: App,
  format: ExpositionFormat,
  signal: AbortSignal,
): Promise<MetricsText> {
  const asked = await askDaemon(app, format, signal);
  if (asked !== undefined) return { source: "daemon", text: asked };
  const { samples, overall } = await lookOnce(app, { signal });
  const own = loopFamilies({
    version: version(),
    startedAtMs: app.system.clock.nowMs(),
    samples,
    states: [],
    alerts: [],
    sinks: [],
    waiting: {},
    overall,
  }).filter(({ name }) => name !== "citadel_agent_start_time_seconds" && name !== "citadel_alerts");
  return { source: "now", text: formatMetrics([...sampleFamilies(samples), ...own], format) };
}

/** Undefined where none runs, or it does not answer us. */
async function askDaemon(
  app: App,
  format: ExpositionFormat,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { hostPaths } = app.system;
  const { monitoring, agent } = app.settings;
  if (hostPaths.relocated || readLockHolder(hostPaths.runtimeDir, "daemon") === undefined) return;
  const any = /^(?:0\.0\.0\.0|::|\[::\])$/.test(monitoring.bind);
  const host = any ? "127.0.0.1" : monitoring.bind;
  try {
    const answer = await createHttpClient({ answerLimitBytes: 16 * 1024 * 1024 }).send({
      method: "GET",
      url: `http://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${monitoring.metrics_port}/metrics`,
      headers: {
        accept: contentTypes[format],
        ...(agent.http_token === undefined
          ? {}
          : { authorization: `Bearer ${agent.http_token.reveal()}` }),
      },
      timeoutMs: askTimeoutMs,
      signal,
    });
    // Another program may hold the port: only what is ours counts.
    return answer.status === 200 && answer.text.includes("citadel_agent_build_info")
      ? answer.text
      : undefined;
  } catch {
    return undefined; // it starts, stops, or cannot listen: a look of our own is as good
  }
}
