// Counters and histograms of one process. Gauges are not kept: whoever knows the value makes the family when asked.

import type { MetricFamily, MetricSample } from "./family.ts";

type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(labels: Labels, by?: number): void;
}

export interface Histogram {
  observe(labels: Labels, value: number): void;
}

export interface Registry {
  /** @param name with prefix and `_total` */
  counter(name: string, help: string): Counter;
  /** @param bounds upper bounds, ascending, without infinity */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram;
  families(): MetricFamily[];
}

/** Label sets per metric: more is a mistake of ours, and memory has a limit. */
const maxSeries = 1000;

/** Creates an empty registry. A name asked for again gives the same metric. */
export function createRegistry(): Registry {
  const metrics = new Map<string, { use: Counter & Histogram; read: () => MetricFamily }>();
  const define = (
    name: string,
    make: () => { use: Counter & Histogram; read: () => MetricFamily },
  ) => {
    let metric = metrics.get(name);
    if (metric === undefined) metrics.set(name, (metric = make()));
    return metric.use;
  };
  return {
    counter: (name, help) => define(name, () => createCounter(name, help)),
    histogram: (name, help, bounds) => define(name, () => createHistogram(name, help, bounds)),
    families: () => [...metrics.values()].map(({ read }) => read()),
  };
}

const unsupported = () => {
  throw new TypeError("a metric was used as what it is not");
};

function createCounter(name: string, help: string) {
  const series = new Map<string, { labels: Labels; value: number }>();
  const add = (labels: Labels, by = 1) => {
    const key = JSON.stringify(labels);
    const found = series.get(key);
    if (found !== undefined) found.value += by;
    else if (series.size < maxSeries) series.set(key, { labels, value: by });
  };
  const read = (): MetricFamily => ({
    name,
    type: "counter",
    help,
    samples: [...series.values()].map(({ labels, value }) => ({ labels, value })),
  });
  return { use: { add, observe: unsupported }, read };
}

function createHistogram(name: string, help: string, bounds: readonly number[]) {
  interface Series {
    readonly labels: Labels;
    readonly counts: number[];
    sum: number;
    count: number;
  }
  const series = new Map<string, Series>();
  const observe = (labels: Labels, value: number) => {
    const key = JSON.stringify(labels);
    let found = series.get(key);
    if (found === undefined) {
      if (series.size >= maxSeries) return;
      found = { labels, counts: bounds.map(() => 0), sum: 0, count: 0 };
      series.set(key, found);
    }
    found.sum += value;
    found.count += 1;
    const at = bounds.findIndex((bound) => value <= bound);
    if (at !== -1) found.counts[at] = (found.counts[at] ?? 0) + 1;
  };
  const samplesOf = ({ labels, counts, sum, count }: Series): MetricSample[] => {
    let below = 0;
    const buckets = bounds.map((bound, at) => {
      below += counts[at] ?? 0;
      return { labels: { ...labels, le: formatBound(bound) }, value: below, suffix: "_bucket" };
    });
    return [
      ...buckets,
      { labels: { ...labels, le: "+Inf" }, value: count, suffix: "_bucket" },
      { labels, value: sum, suffix: "_sum" },
      { labels, value: count, suffix: "_count" },
    ];
  };
  const read = (): MetricFamily => ({
    name,
    type: "histogram",
    help,
    samples: [...series.values()].flatMap(samplesOf),
  });
  return { use: { add: unsupported, observe }, read };
}

/** OpenMetrics wants floats as bounds: `1.0`, not `1`. */
function formatBound(bound: number): string {
  return Number.isInteger(bound) ? `${bound}.0` : String(bound);
}
