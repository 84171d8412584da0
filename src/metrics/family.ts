// What a metric is: a family with a name, a type, one line of help and its samples. Counters and histograms keep
// their state in the registry (registry.ts); the text is exposition.ts.

export type MetricType = "counter" | "gauge" | "histogram";

export interface MetricSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** `_bucket`, `_sum`, `_count` of a histogram; empty else. */
  readonly suffix?: string | undefined;
}

export interface MetricFamily {
  /** Complete, with prefix and unit; a counter's ends in `_total`. */
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly samples: readonly MetricSample[];
}
