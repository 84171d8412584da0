// What /metrics says: the values of the samples, and what the loop knows of itself. Names follow Prometheus practice:
// prefix, base units, `_total` for counters. https://prometheus.io/docs/practices/naming/

import type { MetricFamily, MetricSample, MetricType } from "../metrics/index.ts";
import type { Alert } from "./alert.ts";
import type { SinkState } from "./delivery.ts";
import type { ProbeState } from "./loop.ts";
import { type Sample, type Samples, type Value } from "./sample.ts";
import { seriesTable } from "./series.ts";

const prefix = "citadel_";

/** Series whose unit is not a base unit are shown in one. */
const inBaseUnits: Readonly<
  Record<string, { readonly name: string; readonly factor: number; readonly help: string }>
> = {
  smart_power_on_hours: {
    name: "smart_power_on_seconds",
    factor: 3600,
    help: "Time the disk was powered.",
  },
};

/** The families of the samples' values. */
export function sampleFamilies(samples: Samples): MetricFamily[] {
  const bySeries = new Map<string, Value[]>();
  for (const sample of Object.values(samples)) {
    for (const value of sample?.values ?? []) {
      const list = bySeries.get(value.series);
      if (list === undefined) bySeries.set(value.series, [value]);
      else list.push(value);
    }
  }
  return [...bySeries].map(([series, values]) => {
    const base = inBaseUnits[series];
    const name = base?.name ?? series;
    return family(
      name,
      name.endsWith("_total") ? "counter" : "gauge",
      base?.help ?? seriesTable[series]?.help ?? "See docs/guides/operations.md.",
      unique(values.map(({ labels, value }) => ({ labels, value: value * (base?.factor ?? 1) }))),
    );
  });
}

/** Two samples with the same labels make a scrape fail: the later one counts. */
function unique(samples: readonly MetricSample[]): MetricSample[] {
  const byLabels = new Map<string, MetricSample>();
  for (const sample of samples)
    byLabels.set(JSON.stringify(Object.entries(sample.labels).sort()), sample);
  return [...byLabels.values()];
}

export interface LoopFacts {
  readonly version: { readonly version: string; readonly commit: string };
  readonly startedAtMs: number;
  readonly samples: Samples;
  readonly states: readonly ProbeState[];
  readonly alerts: readonly Alert[];
  readonly sinks: readonly SinkState[];
  readonly waiting: Readonly<Record<string, number>>;
  readonly overall: string;
}

/** The families about the agent itself. */
export function loopFamilies(facts: LoopFacts): MetricFamily[] {
  const { states, sinks } = facts;
  const samples = Object.values(facts.samples).filter((sample) => sample !== undefined) as Sample[];
  const perProbe = (value: (state: ProbeState) => number) =>
    states.map((state) => ({ labels: { probe: state.name }, value: value(state) }));
  const perSample = (value: (sample: Sample) => number) =>
    samples.map((sample) => ({ labels: { probe: sample.probe }, value: value(sample) }));
  const perSink = (value: (sink: SinkState) => number | null) =>
    sinks.flatMap((sink) => {
      const number = value(sink);
      return number === null ? [] : [{ labels: { sink: sink.name }, value: number }];
    });
  return [
    family("agent_build_info", "gauge", "Version of the agent.", [
      { labels: { ...facts.version }, value: 1 },
    ]),
    family("agent_start_time_seconds", "gauge", "When the agent started, unix time.", [
      { labels: {}, value: facts.startedAtMs / 1000 },
    ]),
    family(
      "probe_runs_total",
      "counter",
      "Runs of the probe.",
      perProbe(({ runs }) => runs),
    ),
    family(
      "probe_failures_total",
      "counter",
      "Runs of the probe that failed or were cut off.",
      perProbe(({ failures }) => failures),
    ),
    family(
      "probe_success",
      "gauge",
      "Whether the last run of the probe could look (1) or failed (0).",
      perProbe(({ consecutiveFailures }) => (consecutiveFailures === 0 ? 1 : 0)),
    ),
    family(
      "probe_interval_seconds",
      "gauge",
      "Distance of two runs of the probe.",
      perProbe(({ intervalS }) => intervalS),
    ),
    family(
      "probe_duration_seconds",
      "gauge",
      "How long the last run of the probe took.",
      perSample(({ durationMs }) => durationMs / 1000),
    ),
    family(
      "probe_last_run_timestamp_seconds",
      "gauge",
      "When the probe last gave a sample, unix time.",
      perSample(({ measuredAtMs }) => measuredAtMs / 1000),
    ),
    family(
      "health_level",
      "gauge",
      "Worst of all probes: 0 ok, 1 unknown, 2 warning, 3 critical.",
      [{ labels: {}, value: Math.max(0, levels.indexOf(facts.overall)) }],
    ),
    family("alerts", "gauge", "Alerts that fire, by name and severity.", countAlerts(facts.alerts)),
    family(
      "sink_deliveries_total",
      "counter",
      "Requests that a sink took.",
      perSink(({ deliveries }) => deliveries),
    ),
    family(
      "sink_failures_total",
      "counter",
      "Requests that a sink did not take.",
      perSink(({ failures }) => failures),
    ),
    family(
      "sink_last_success_timestamp_seconds",
      "gauge",
      "When the sink last took a request, unix time.",
      perSink(({ lastSuccessMs }) => (lastSuccessMs === null ? null : lastSuccessMs / 1000)),
    ),
    family(
      "outbox_messages",
      "gauge",
      "Messages that wait to be sent.",
      Object.entries(facts.waiting).map(([sink, value]) => ({ labels: { sink }, value })),
    ),
  ];
}

const levels = ["ok", "unknown", "warning", "critical"];

function family(
  name: string,
  type: MetricType,
  help: string,
  samples: readonly MetricSample[],
): MetricFamily {
  return { name: prefix + name, type, help, samples };
}

/** By name and severity; both severities always, so that a graph falls to zero and not away. */
function countAlerts(alerts: readonly Alert[]): MetricSample[] {
  const counts = new Map<string, MetricSample>();
  const add = (name: string, severity: string, by: number) => {
    const key = `${name} ${severity}`;
    const value = (counts.get(key)?.value ?? 0) + by;
    counts.set(key, { labels: { name, severity }, value });
  };
  for (const severity of ["warning", "critical"]) add("any", severity, 0);
  for (const { name, severity, state } of alerts) {
    if (state !== "firing") continue;
    add(name, severity, 1);
    add("any", severity, 1);
  }
  return [...counts.values()];
}
