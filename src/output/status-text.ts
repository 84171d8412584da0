// The status on one screen.

import { formatBytes, formatDuration, formatRelative } from "../core/index.ts";
import type { SampleState } from "../monitor/sample.ts";
import type { StatusDocument } from "../status/index.ts";
import { printable } from "./printable.ts";
import type { Style, Tone } from "./style.ts";

const tones: Readonly<Record<string, Tone>> = {
  ok: "ok",
  whole: "ok",
  warning: "warning",
  empty: "dim",
  critical: "critical",
  damaged: "critical",
  missing: "warning",
  failed: "critical",
  unknown: "unknown",
  not_applicable: "dim",
};

/** Longer lists are cut: the screen is one, `--json` has all. */
const shownIssues = 6;
const shownModels = 12;

/** @param nowMs for "5 min ago" */
export function formatStatus(status: StatusDocument, nowMs: number, style: Style): string {
  const word = (state: string) => style.paint(tones[state] ?? "dim", state.replace("_", " "));
  const parts = [
    headline(status, word),
    storage(status, style, word),
    links(status, style, word),
    models(status, style, word),
    disks(status, style, word),
    backups(status, nowMs, word),
    troubles(status, nowMs, style, word),
    pending(status, style),
  ];
  return parts.filter((part) => part !== "").join("\n");
}

type Painter = (state: SampleState | string) => string;

function headline({ overall, agent }: StatusDocument, word: Painter): string {
  const daemon =
    agent.pid === null
      ? "no daemon runs: looked at now"
      : `daemon pid ${agent.pid}${agent.uptime_s === null ? "" : `, up ${formatDuration(agent.uptime_s * 1000)}`}`;
  return `${word(overall)}  ${daemon}`;
}

const percent = (ratio: number | null) => (ratio === null ? "-" : `${Math.round(ratio * 100)} %`);

function storage({ storage: roots }: StatusDocument, style: Style, word: Painter): string {
  const rows = roots.map((root) => [
    word(root.state),
    printable(root.path),
    mountWord(root),
    percent(root.usage),
    root.free_bytes === null ? "-" : `${formatBytes(root.free_bytes)} free`,
    root.total_bytes === null ? "" : `of ${formatBytes(root.total_bytes)}`,
    root.full_in_s === null ? "" : `full in ${formatDuration(root.full_in_s * 1000)}`,
    root.reason === null ? "" : printable(root.reason),
  ]);
  const align = ["left", "left", "left", "right", "right"] as const;
  return section("storage", style.table(rows, { indent: 2, align }), style);
}

function mountWord(root: StatusDocument["storage"][number]): string {
  if (root.mounted === false) return "not a mount";
  return [root.fstype ?? "-", ...(root.read_only === true ? ["read-only"] : [])].join(" ");
}

function links({ links: found }: StatusDocument, style: Style, word: Painter): string {
  const { state, total, healthy, issues, note } = found;
  if (total === null) return section("links", `  ${word(state)}  ${printable(note ?? "")}`, style);
  const rows = issues
    .slice(0, shownIssues)
    .map((issue) => [
      word(issue.state),
      printable(issue.path),
      issue.actual === null ? "" : `-> ${printable(issue.actual)}`,
    ]);
  const more = issues.length - rows.length;
  const lines = [
    `  ${word(state)}  ${healthy} of ${total} right`,
    ...(rows.length === 0 ? [] : [style.table(rows, { indent: 4 })]),
    ...(more > 0 ? [`    … and ${more} more: citadel-agent links verify`] : []),
  ];
  return section("links", lines.join("\n"), style);
}

function models({ models: list, sections }: StatusDocument, style: Style, word: Painter): string {
  if (list.length === 0) return unseen("models", sections["models"], style, word);
  const rows = list
    .slice(0, shownModels)
    .map((model) => [
      word(model.state),
      printable(model.key),
      model.size_bytes === null ? "-" : formatBytes(model.size_bytes),
      model.problems.map(printable).slice(0, 1).join(""),
    ]);
  const more = list.length - rows.length;
  const table = style.table(rows, { indent: 2, align: ["left", "left", "right"] });
  return section("models", more > 0 ? `${table}\n  … and ${more} more` : table, style);
}

function disks({ smart, sections }: StatusDocument, style: Style, word: Painter): string {
  if (smart.length === 0) return unseen("smart", sections["smart"], style, word);
  const rows = smart.map((disk) => [
    word(disk.state),
    disk.device,
    printable(disk.model ?? "-"),
    disk.temperature_celsius === null ? "-" : `${disk.temperature_celsius} °C`,
    disk.wear === null ? "" : `${percent(disk.wear)} worn`,
    printable(disk.reason ?? disk.problems[0]?.text ?? ""),
  ]);
  return section("smart", style.table(rows, { indent: 2 }), style);
}

/** A plan that nobody carries out is no plan. @param automatic undefined: from a daemon of another release */
function doubtOfRun(automatic: boolean | null | undefined): string {
  if (automatic === false) {
    return " (nobody runs it: `citadel-agent backup schedule list` says why)";
  }
  return automatic === null ? " (whether anything runs it is not known)" : "";
}

function backups({ backups: found }: StatusDocument, nowMs: number, word: Painter): string {
  const when = (time: string | null) =>
    time === null ? "never" : formatRelative(Date.parse(time), nowMs);
  if (found.snapshots === null) {
    return `backups\n  ${word(found.state)}  ${printable(found.note ?? "")}`.trimEnd();
  }
  const next =
    found.next_scheduled === null
      ? ""
      : `, next ${when(found.next_scheduled)}${doubtOfRun(found.automatic)}`;
  return `backups\n  ${word(found.state)}  complete ${when(found.last_complete)}, verified ${when(found.last_verified)}${next}`;
}

function unseen(
  title: string,
  seen: { readonly state: string; readonly note: string | null } | undefined,
  style: Style,
  word: Painter,
): string {
  const text = `  ${word(seen?.state ?? "unknown")}  ${printable(seen?.note ?? "")}`;
  return section(title, text.trimEnd(), style);
}

/** Alerts of the daemon; without one, what this look found. */
function troubles(status: StatusDocument, nowMs: number, style: Style, word: Painter): string {
  const { alerts, findings } = status;
  const known = new Set(alerts.map(({ summary }) => summary));
  const rows = [
    ...alerts.map(({ severity, summary, since }) => [
      word(severity),
      printable(summary),
      formatRelative(Date.parse(since), nowMs),
    ]),
    ...findings
      .filter(({ summary }) => !known.has(summary))
      .map(({ severity, summary }) => [word(severity), printable(summary), ""]),
  ];
  if (rows.length === 0) return section("alerts", "  none", style);
  return section("alerts", style.table(rows, { indent: 2 }), style);
}

function pending({ pending_transaction: open }: StatusDocument, style: Style): string {
  if (open === null) return "";
  const text = `  ${printable(open.command)} stopped at step ${open.steps_done} of ${open.steps_total} (since ${open.started}); citadel-agent repair undoes it`;
  return section("pending transaction", style.paint("warning", text), style);
}

function section(title: string, body: string, style: Style): string {
  return `${style.paint("strong", title)}\n${body}`;
}
