// The text that Prometheus reads, in both of its forms. Pure.
// https://prometheus.io/docs/instrumenting/exposition_formats/ (text 0.0.4)
// https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md (1.0.0)

import type { MetricFamily } from "./family.ts";

export type ExpositionFormat = "prometheus" | "openmetrics";

export const contentTypes: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** Which form a reader's Accept header asks for. */
export function chooseFormat(accept: string | null): ExpositionFormat {
  const wanted = (accept ?? "").split(",").map((part) => part.trim().toLowerCase());
  const open = wanted.find((part) => part.startsWith("application/openmetrics-text"));
  return open !== undefined && !/;\s*q=0(?:\.0*)?(?:;|$)/.test(open) ? "openmetrics" : "prometheus";
}

/** Families sorted by name; one without samples is left out. */
export function formatMetrics(
  families: readonly MetricFamily[],
  format: ExpositionFormat = "prometheus",
): string {
  const lines: string[] = [];
  for (const family of [...families].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (family.samples.length === 0) continue;
    // OpenMetrics names the family of a counter without `_total`, its samples with.
    const isOpenCounter = format === "openmetrics" && family.type === "counter";
    const name = isOpenCounter ? family.name.replace(/_total$/, "") : family.name;
    const unit = format === "openmetrics" ? unitOf(name) : undefined;
    lines.push(
      `# HELP ${name} ${escapeHelp(family.help, format)}`,
      `# TYPE ${name} ${family.type}`,
    );
    if (unit !== undefined) lines.push(`# UNIT ${name} ${unit}`);
    for (const { labels, value, suffix } of family.samples) {
      lines.push(`${family.name}${suffix ?? ""}${formatLabels(labels)} ${formatNumber(value)}`);
    }
  }
  if (format === "openmetrics") lines.push("# EOF");
  return `${lines.join("\n")}\n`;
}

const units = new Set(["seconds", "bytes", "ratio", "celsius", "watts"]);

function unitOf(name: string): string | undefined {
  const last = name.slice(name.lastIndexOf("_") + 1);
  return units.has(last) ? last : undefined;
}

const escapeHelp = (text: string, format: ExpositionFormat) => {
  const plain = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  return format === "openmetrics" ? plain.replaceAll('"', '\\"') : plain;
};

function formatLabels(labels: Readonly<Record<string, string>>): string {
  const keys = Object.keys(labels).sort();
  if (keys.length === 0) return "";
  return `{${keys.map((key) => `${key}="${escapeLabel(labels[key] ?? "")}"`).join(",")}}`;
}

const escapeLabel = (text: string) =>
  text.toWellFormed().replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');

function formatNumber(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  return String(value);
}
