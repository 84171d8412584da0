// The daemon's ports as the settings name them. A port that is in use is an alert and is tried again: the daemon
// stays up.

import { CitadelError, messageOf } from "../core/index.ts";
import { answerHttp, healthRoutes, metricsRoutes, type HttpView } from "../monitor/http.ts";
import type { Notices } from "../monitor/notices.ts";
import { listenHttp, type HttpListener } from "../system/http-server.ts";
import type { App } from "./app.ts";

export interface PortsContext {
  readonly view: HttpView;
  readonly notices: Notices;
  /** An alert about the agent itself is due. */
  readonly onNotice: () => void;
}

const firstWaitMs = 5000;
const longestWaitMs = 60_000;

/** Listens on both ports until the signal aborts. */
export async function servePorts(
  app: App,
  context: PortsContext,
  signal: AbortSignal,
): Promise<void> {
  const { metrics_port, health_check_port, enable_monitoring } = app.settings.monitoring;
  await Promise.all([
    ...(enable_monitoring ? [servePort(app, metrics_port, metricsRoutes, context, signal)] : []),
    servePort(app, health_check_port, healthRoutes, context, signal),
  ]);
}

async function servePort(
  app: App,
  port: number,
  routes: typeof healthRoutes,
  { view, notices, onNotice }: PortsContext,
  signal: AbortSignal,
): Promise<void> {
  const { monitoring, agent } = app.settings;
  const { clock, logger, environment } = app.system;
  const { bind } = monitoring;
  const options = { bind, hostNames: [environment.hostname], token: agent.http_token };
  const labels = { port: String(port) };
  let listener: HttpListener | undefined;
  for (let waitMs = firstWaitMs; !signal.aborted; waitMs = Math.min(longestWaitMs, waitMs * 2)) {
    try {
      const answer = (request: Request) => answerHttp(request, routes, view, options);
      listener = listenHttp({ host: bind, port, answer });
      break;
    } catch (thrown) {
      const message = messageOf(thrown);
      logger.log("warn", message, { retry_s: waitMs / 1000 });
      notices.set({
        name: "HTTP_PORT_IN_USE",
        severity: "warning",
        labels,
        summary: message,
        advice: (thrown instanceof CitadelError ? thrown.hint : undefined) ?? "choose another port",
      });
      onNotice();
      await clock.sleep(waitMs, signal);
    }
  }
  if (listener === undefined) return;
  notices.clear("HTTP_PORT_IN_USE", labels);
  logger.log("info", "listening", { address: bind, port });
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await listener.stop();
}
