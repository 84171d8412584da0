// Whether the model servers answer on their ports. A port that never answered is no alarm: a model that nobody
// started is not down.

import type { Connector } from "../../system/connect.ts";
import type { ServicesData, ServiceState } from "../data.ts";
import type { Memory } from "../memory.ts";
import { defineProbe, type Probe } from "../probe.ts";

export interface ServicesProbeOptions {
  readonly intervalS: number;
  readonly services: readonly { readonly name: string; readonly port: number }[];
  readonly host?: string | undefined;
  readonly connector: Connector;
  readonly memory: Memory;
  /** `STORAGE_MONITOR_EXPECT_SERVICES`, and the service's directory holds a model. */
  readonly isExpected: (name: string) => boolean;
}

const perServiceMs = 3000;
const parallel = 8;
const answeredKey = "services.answered";

export function createServicesProbe(options: ServicesProbeOptions): Probe<"services"> {
  const { services, memory } = options;
  return defineProbe({
    name: "services",
    intervalS: options.intervalS,
    timeoutMs: perServiceMs * 2 * (Math.ceil(services.length / parallel) + 1),
    async run(signal) {
      if (services.length === 0)
        return { state: "not_applicable", note: "no model ports set", data: null, values: [] };
      const answered = readAnswered(memory);
      const states = await inBatches(services, (service) =>
        look(service, options, answered, signal),
      );
      const now = states.filter((state) => state.up).map((state) => state.name);
      if (now.some((name) => !answered.has(name)))
        memory.write(answeredKey, [...new Set([...answered, ...now])].slice(0, 1024));
      const data: ServicesData = { services: states };
      return {
        state: "ok",
        data,
        values: states.map(({ name, port, up }) => ({
          series: "model_service_up",
          labels: { service: name, port: String(port) },
          value: up ? 1 : 0,
        })),
      };
    },
  });
}

function readAnswered(memory: Memory): Set<string> {
  const names = memory.read(answeredKey);
  return new Set(Array.isArray(names) ? names.filter((name) => typeof name === "string") : []);
}

async function look(
  { name, port }: { readonly name: string; readonly port: number },
  options: ServicesProbeOptions,
  answered: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<ServiceState> {
  const host = options.host ?? "127.0.0.1";
  const tcp = await options.connector.tryConnect(host, port, perServiceMs, signal);
  const health = tcp.connected
    ? await options.connector.getStatus(`http://${host}:${port}/health`, perServiceMs, signal)
    : undefined;
  // 404: a server without /health; no answer at all: a port that is open, with nobody working behind it.
  const healthy = health === undefined || health === 404 ? null : health !== null && health < 400;
  const up = tcp.connected && healthy !== false;
  const everAnswered = up || answered.has(name);
  return {
    name,
    port,
    up,
    healthy,
    latencyMs: tcp.connected ? tcp.durationMs : null,
    error: up ? null : tcp.connected ? `/health: ${health ?? "no answer"}` : tcp.reason,
    everAnswered,
    expected: everAnswered || options.isExpected(name),
  };
}

async function inBatches<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += parallel)
    results.push(...(await Promise.all(items.slice(at, at + parallel).map(work))));
  return results;
}
