// The measurement for a person.

import { formatBytes } from "../core/index.ts";
import type { PerfReport } from "../monitor/perf/analyze.ts";
import type { Style } from "./style.ts";

const milliseconds = (seconds: number) => `${(seconds * 1000).toFixed(seconds < 0.001 ? 3 : 1)} ms`;
const header = ["workload", "block", "depth", "MB/s", "IOPS", "p50", "p95", "p99"];
const align = ["left", "right", "right", "right", "right", "right", "right", "right"] as const;

export function formatPerf(report: PerfReport, analyze: boolean, style: Style): string {
  const { facts, figures, analysis } = report;
  const rows = figures.map((each) => [
    each.name.replace("_", " "),
    formatBytes(each.block_bytes),
    String(each.depth),
    (each.bytes_per_s / 1e6).toFixed(1),
    each.iops.toFixed(0),
    milliseconds(each.latency.p50_s),
    milliseconds(each.latency.p95_s),
    milliseconds(each.latency.p99_s),
  ]);
  const disks = facts.disks.map((disk) => disk.name).join(", ");
  const parts = [
    `${facts.path}: ${facts.fstype ?? "?"} on ${disks === "" ? "no disk" : disks}, ${formatBytes(report.sizeBytes)} written${facts.direct ? ", direct I/O" : ", through the page cache"}`,
    style.table(rows, { header, align: [...align], indent: 2 }),
  ];
  if (!analyze) return parts.join("\n");
  const { bottleneck, recommendations } = analysis;
  if (bottleneck !== null) {
    const word = bottleneck.exceeded ? "misses its threshold" : "is nearest to its threshold";
    parts.push(
      "",
      `${style.paint(bottleneck.exceeded ? "warning" : "ok", bottleneck.limit.replaceAll("_", " "))} limits: ${bottleneck.reason}; ${bottleneck.metric.replaceAll("_", " ")} ${word}`,
    );
  }
  for (const { finding, recommendation, reason, command } of recommendations) {
    parts.push(
      `  ${finding}: ${recommendation} (${reason})${command === null ? "" : `; \`${command}\``}`,
    );
  }
  return parts.join("\n");
}
