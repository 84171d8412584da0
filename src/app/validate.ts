// Runs the ten checks of seed 002 on an App: gathers what each needs, and leaves the judging to host/validate.

import { backupSchedule } from "./backup-schedule.ts";
import { readHostFacts } from "./host.ts";
import { openLayoutEngine } from "./layout-engine.ts";
import { viewLayout, type LayoutView } from "./layout.ts";
import { findMonitorUnits, readScheduleFiles } from "./schedule-files.ts";
import { toOnCalendar } from "../backup/schedule.ts";
import * as checks from "../host/validate/index.ts";
import type { LayoutReport, ManagedFile, Validation } from "../host/validate/index.ts";
import { verifyDirectories, verifyLinks, verifyScript } from "../layout/index.ts";
import { findProgram } from "../system/find-program.ts";
import { readText, stat } from "../system/index.ts";
import type { App } from "./app.ts";

/** Looks at everything and changes nothing; needs no privilege, but says what it could not see without. */
export async function validateHost(app: App, signal?: AbortSignal): Promise<Validation> {
  const { hostPaths } = app.system;
  const { agent, backup, symlinks } = app.settings;
  const daily =
    backupSchedule(app).find(({ tag }) => tag === "daily")?.cron ?? backup.backup_schedule;
  using engine = openLayoutEngine(app);
  const facts = await readHostFacts(app, { signal });
  const scope = { directories: true, links: true, files: true };
  const view = await viewLayout(app, engine.state, { scope, signal });
  const { rest, models } = splitDirectories(view);
  const links = verifyLinks(view.desired, view.actual, view.history, view.ownersMatter);
  const users = [...new Set(["root", symlinks.symlink_owner])];
  return checks.summarizeChecks([
    checks.checkTools(
      (name) => findProgram(name, hostPaths),
      readText(hostPaths.real("/etc/os-release")) ??
        readText(hostPaths.real("/usr/lib/os-release")),
    ),
    checks.checkMounts(facts),
    checks.checkMountOptions(facts, agent.tune_profile),
    checks.checkDirectories(rest),
    checks.checkModelDirectories(models),
    checks.checkLinks(links),
    checks.checkManagement(managedFiles(app, view)),
    checks.checkSchedulers(facts),
    checks.checkTrim(facts),
    checks.checkBackupSchedule(readScheduleFiles(hostPaths, users), daily, toOnCalendar(daily)),
  ]);
}

/** The report of all directories in two: those of the models, and the rest. */
function splitDirectories(view: LayoutView): { rest: LayoutReport; models: LayoutReport } {
  const report = verifyDirectories(view.desired, view.actual, view.ownersMatter);
  const paths = new Set<string>(
    view.desired.directories.filter(({ role }) => role === "model").map(({ path }) => path),
  );
  const part = (isModel: boolean): LayoutReport => {
    const issues = report.issues.filter(({ path }) => paths.has(path) === isModel);
    const total = isModel ? paths.size : report.total - paths.size;
    return { total, healthy: total - issues.length, issues };
  };
  return { rest: part(false), models: part(true) };
}

const binaryPath = "/usr/local/bin/citadel-agent";
const unitPath = "/etc/systemd/system/citadel-agent.service";

function managedFiles(app: App, view: LayoutView): ManagedFile[] {
  const { hostPaths } = app.system;
  const install = "citadel-agent service install";
  const [unit] = findMonitorUnits(hostPaths);
  const script = verifyScript(view.desired, view.actual);
  return [
    { path: hostPaths.real(binaryPath), problem: binaryProblem(app), fix: install },
    {
      path: hostPaths.real(unit ?? unitPath),
      problem: unit === undefined ? "no unit starts `citadel-agent monitor`" : undefined,
      fix: install,
    },
    ...view.desired.files.slice(0, 1).map(({ path }) => ({
      path,
      problem: script === "current" ? undefined : script,
      fix: "citadel-agent env --write",
    })),
  ];
}

/** Root runs it, so nobody else may be able to change it. */
function binaryProblem(app: App): string | undefined {
  const { hostPaths } = app.system;
  const found = stat(hostPaths.real(binaryPath));
  if (found === undefined) return "missing";
  if (found.type !== "file") return `a ${found.type}, not a file`;
  if ((found.mode & 0o111) === 0) return "not executable";
  if ((found.mode & 0o022) !== 0) return "others can write it";
  return found.uid !== 0 && !hostPaths.relocated ? "does not belong to root" : undefined;
}
