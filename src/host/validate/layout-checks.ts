// Checks of directories, model directories, links and the agent's own files, from reports that others made. Pure.

import { shorten, type Check } from "./check.ts";

/** What the layout's verify says, as far as it matters here. */
export interface LayoutReport {
  readonly total: number;
  readonly healthy: number;
  readonly issues: readonly {
    readonly path: string;
    readonly state: string;
    readonly reason: string;
  }[];
}

/** Issues with the same state and reason in one line: a missing mount blocks everything below it. */
function issueLines(report: LayoutReport): string[] {
  const groups = new Map<string, string[]>();
  for (const { path, state, reason } of report.issues) {
    if (state === "skipped") continue;
    const about = `${state} (${reason})`;
    groups.set(about, [...(groups.get(about) ?? []), path]);
  }
  return [...groups].map(([about, paths]) => {
    const more = paths.length > 3 ? ` and ${paths.length - 3} more` : "";
    return `${paths.slice(0, 3).join(", ")}${more}: ${about}`;
  });
}

/** Below a storage that is not mounted nothing can be mended: that comes first. */
function fixOf(report: LayoutReport, command: string): string {
  const isBlocked = report.issues.some(({ state }) => state === "blocked");
  return isBlocked ? `mount the storage first (check 2), then ${command}` : command;
}

const remarks = (report: LayoutReport) =>
  report.issues
    .filter((issue) => issue.state === "skipped")
    .map((issue) => `${issue.path} skipped (${issue.reason})`);

/** Check 4: the trees of models, backup and application, with their modes. */
export function checkDirectories(report: LayoutReport): Check {
  const issues = issueLines(report);
  const ok = issues.length === 0 && report.total > 0;
  return {
    id: "directories",
    name: "Directory Structure",
    ok,
    found: ok
      ? `all ${report.total} directories as wanted`
      : `${report.healthy} of ${report.total} as wanted: ${shorten(issues)}`,
    wanted: `${report.total} directories with their modes`,
    fix: ok ? null : fixOf(report, "citadel-agent dirs create (or: citadel-agent repair)"),
  };
}

/** Check 5: one directory per configured model. */
export function checkModelDirectories(report: LayoutReport): Check {
  const issues = issueLines(report);
  const ok = issues.length === 0 && report.total > 0;
  return {
    id: "model_directories",
    name: "Model Directories",
    ok,
    found: ok
      ? `all ${report.total} model directories`
      : report.total === 0
        ? "no model is configured"
        : `${report.healthy} of ${report.total}: ${shorten(issues)}`,
    wanted: `${report.total} model directories, by the settings`,
    fix: ok
      ? null
      : report.total === 0
        ? "configure models (MODEL_MODEL_DIRECTORIES), see citadel-agent config example"
        : fixOf(report, "citadel-agent dirs create"),
  };
}

/** Check 6: every link there, and each pointing where it should. */
export function checkLinks(report: LayoutReport): Check {
  const issues = issueLines(report);
  const skipped = remarks(report);
  const ok = issues.length === 0 && report.healthy > 0;
  const also = skipped.length === 0 ? "" : `; ${shorten(skipped, 2)}`;
  return {
    id: "symlinks",
    name: "Symlinks",
    ok,
    found: ok
      ? `${report.healthy} links lead where they should${also}`
      : `${report.healthy} of ${report.total}: ${shorten(issues)}${also}`,
    wanted: `${report.total} links with the right targets`,
    fix: ok ? null : fixOf(report, "citadel-agent links create (or: citadel-agent repair)"),
  };
}

/** A file of ours on the host and what is wrong with it; undefined: nothing. */
export interface ManagedFile {
  readonly path: string;
  readonly problem: string | undefined;
  /** The command that makes it. */
  readonly fix: string;
}

/** Check 7: the installed binary, its units and the generated script. */
export function checkManagement(files: readonly ManagedFile[]): Check {
  const bad = files.filter((file) => file.problem !== undefined);
  const ok = bad.length === 0 && files.length > 0;
  return {
    id: "management",
    name: "Management Commands",
    ok,
    found: ok
      ? files.map((file) => file.path).join(", ")
      : shorten(bad.map((file) => `${file.path}: ${file.problem ?? ""}`)),
    wanted: files.map((file) => file.path).join(", "),
    fix: ok ? null : [...new Set(bad.map((file) => file.fix))].join(" && "),
  };
}
