// The layout's reports as text.

import type { DirectoriesReport, LinksReport } from "../layout/verify.ts";
import { printable } from "./printable.ts";
import { fits, type Style, type Tone } from "./style.ts";

const toneOf: Readonly<Record<string, Tone>> = {
  healthy: "ok",
  skipped: "dim",
  blocked: "unknown",
  unknown: "unknown",
  foreign: "warning",
  obsolete: "warning",
  leftover: "warning",
};

const paintState = (style: Style, state: string) => style.paint(toneOf[state] ?? "critical", state);

const shownIssues = 60;

interface Issue {
  readonly path: string;
  readonly state: string;
  readonly reason: string;
}

function formatIssues(issues: readonly Issue[], style: Style): string {
  const rows = issues
    .slice(0, shownIssues)
    .map(({ path, state, reason }) => [
      paintState(style, state),
      printable(path),
      style.paint("dim", printable(reason)),
    ]);
  const more = issues.length - rows.length;
  const wide = style.table(rows, { indent: 2 });
  const stacked = () => rows.map(([state, path, reason]) => `  ${state} ${path}\n    ${reason}`);
  const table = fits(wide, style) ? wide : stacked().join("\n");
  return more > 0 ? `${table}\n  … and ${more} more (all with --json)` : table;
}

function summary(
  what: string,
  report: { total: number; healthy: number; issues: readonly Issue[] },
  style: Style,
): string {
  const { healthy, total, issues } = report;
  const wrong = issues.filter(({ state }) => state !== "skipped").length;
  const word = wrong === 0 ? style.paint("ok", "ok") : style.paint("critical", "wrong");
  return `${word}: ${healthy} of ${total} ${what} healthy${wrong === 0 ? "" : `, ${wrong} to look at`}`;
}

/** `links verify`. */
export function formatLinksReport(
  report: Pick<LinksReport, "total" | "healthy" | "issues">,
  style: Style,
): string {
  const lines = [summary("links", report, style)];
  if (report.issues.length > 0) lines.push(formatIssues(report.issues, style));
  if (report.issues.some(({ state }) => state !== "skipped")) {
    lines.push("see what would be mended: citadel-agent repair --dry-run");
  }
  return lines.join("\n");
}

/** `links list`. */
export function formatLinksList(report: LinksReport, style: Style): string {
  const rows = report.links.map(({ path, target, role, state }) => [
    printable(path),
    `-> ${printable(target)}`,
    role,
    paintState(style, state),
  ]);
  const known = new Set(report.links.map(({ path }) => path));
  const others = report.issues.filter(({ path }) => !known.has(path));
  const wide = style.table(rows);
  const stacked = () =>
    rows.map(([path, target, role, state]) => `${path}\n  ${target}  ${role}  ${state}`);
  const lines = [fits(wide, style) ? wide : stacked().join("\n")];
  if (others.length > 0) lines.push(formatIssues(others, style));
  lines.push(summary("links", report, style));
  return lines.join("\n");
}

/** `dirs verify`. */
export function formatDirectoriesReport(report: DirectoriesReport, style: Style): string {
  const lines = [summary("directories", report, style)];
  if (report.issues.length > 0) {
    lines.push(formatIssues(report.issues, style));
    lines.push("see what would be mended: citadel-agent repair --dry-run");
  }
  return lines.join("\n");
}
