// The sinks that the settings name. Nothing leaves the host until the operator named a destination: the default of
// STORAGE_MONITOR_DEV_OPS_SERVER is documentation, only a value that somebody set counts.

import type { ExpositionFormat } from "../metrics/index.ts";
import type { AlertKeeper } from "../monitor/alert-keeper.ts";
import {
  createQueueDelivery,
  createStateDelivery,
  type Delivery,
  type DeliveryOptions,
  type StateSink,
} from "../monitor/delivery.ts";
import { createAlertmanagerSink } from "../monitor/sinks/alertmanager.ts";
import { createPingSink } from "../monitor/sinks/ping.ts";
import { createPushSink } from "../monitor/sinks/push.ts";
import { createPushgatewaySink } from "../monitor/sinks/pushgateway.ts";
import { createWebhookSink } from "../monitor/sinks/webhook.ts";
import { createHttpClient } from "../system/http-client.ts";
import type { App } from "./app.ts";

/** The sinks that get every transition, by the settings. */
export function queueSinkNames({ settings }: App): string[] {
  const { agent, monitoring } = settings;
  if (!monitoring.enable_remote_monitoring) return [];
  return [
    ...(agent.push_url === undefined ? [] : ["push"]),
    ...(agent.webhook_url === undefined ? [] : ["webhook"]),
  ];
}

/** Alertmanager: its own address, else the operations server that somebody named. */
export function alertmanagerUrl({ settings, origins }: App): string | undefined {
  const { agent, monitoring } = settings;
  if (agent.alertmanager_url !== undefined) return agent.alertmanager_url;
  const origin = origins?.get("monitoring.dev_ops_server")?.kind ?? "default";
  if (origin === "default") return undefined;
  const host = monitoring.dev_ops_server;
  const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  return `http://${name}:${monitoring.alertmanager_port}`;
}

export interface SinkContext extends DeliveryOptions {
  readonly keeper: AlertKeeper;
  /** The status document as it is now, with its envelope. */
  readonly status: () => Readonly<Record<string, unknown>>;
  readonly metrics: (format: ExpositionFormat) => string;
  readonly isTurning: () => boolean;
}

/** Everything that is sent from this host, ready to run. */
export function createDeliveries(app: App, context: SinkContext): Delivery[] {
  const { settings, system } = app;
  const { agent, monitoring } = settings;
  if (!monitoring.enable_remote_monitoring) return [];
  const { clock } = system;
  const { keeper } = context;
  const host = system.environment.hostname;
  const caFile = agent.ca_file === undefined ? undefined : system.hostPaths.real(agent.ca_file);
  const client = createHttpClient({ caFile });
  const intervalS = monitoring.check_interval;
  const states: StateSink[] = [];
  const deliveries: Delivery[] = [];
  const { push_url, webhook_url, pushgateway_url, ping_url } = agent;
  if (push_url !== undefined) {
    const sink = createPushSink({
      url: push_url,
      token: agent.push_token,
      hmacSecret: agent.push_hmac_secret,
      client,
      clock,
      status: context.status,
      identity: () => keeper.identity,
    });
    deliveries.push(createQueueDelivery(sink, keeper.queue, context));
  }
  if (webhook_url !== undefined) {
    const sink = createWebhookSink({ url: webhook_url, host, client, clock });
    deliveries.push(createQueueDelivery(sink, keeper.queue, context));
  }
  const alertmanager = alertmanagerUrl(app);
  if (alertmanager !== undefined)
    states.push(
      createAlertmanagerSink({
        url: alertmanager,
        host,
        client,
        clock,
        intervalS,
        firing: () => keeper.audible(clock.nowMs()),
        resolvedSince: keeper.resolvedSince,
      }),
    );
  if (pushgateway_url !== undefined)
    states.push(
      createPushgatewaySink({
        url: pushgateway_url,
        host,
        client,
        clock,
        intervalS: agent.push_interval,
        metrics: () => context.metrics("prometheus"),
      }),
    );
  if (ping_url !== undefined)
    states.push(
      createPingSink({
        url: ping_url,
        client,
        clock,
        intervalS: agent.push_interval,
        isTurning: context.isTurning,
      }),
    );
  return [...deliveries, ...states.map((sink) => createStateDelivery(sink, context))];
}
