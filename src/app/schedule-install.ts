// The schedule on the host: systemd timers, or our own block of root's crontab. What installing and removing would do,
// as a plan for the transaction engine; `backup-schedule.ts` decides what is due and runs it.

import { toOnCalendar, withCronBlock } from "../backup/schedule.ts";
import { absolutePath, joinPath, parentOf, type AbsolutePath } from "../core/index.ts";
import { listDirectory, lstat, readBytes, runProcess, selfCommand } from "../system/index.ts";
import { sha256Hex } from "../system/digest.ts";
import { assertTrustedProgram } from "../system/trusted-directory.ts";
import { ownProgram, quote, type Unit } from "../service/units.ts";
import type { EngineState, Operation, Plan } from "../transaction/index.ts";
import type { App } from "./app.ts";
import { backupSchedule } from "./backup-schedule.ts";
import { noCron, programFault } from "./schedule-runners.ts";
import { installedBinary, unitPath, type UnitState } from "./service.ts";
import {
  daemonReload,
  forgetFailures,
  makeDirectory,
  reloadOnUndo,
  removeStamp,
  removeUnit,
  removeWantsLink,
  stopUnit,
  systemdSteps,
  wantsLink,
  writeUnit,
} from "./service-plan.ts";

export type ScheduleKind = "systemd" | "cron";

export interface ScheduleWish {
  readonly command: string;
  readonly kind: ScheduleKind;
  /** `--config`, `--env-file`: what starts by itself must read the same settings. */
  readonly flags: readonly string[];
}

const unitName = "citadel-agent-backup";
const header = "# Written by citadel-agent backup schedule install";
// Debian, Red Hat, SUSE; host paths
const crontabDirectories = ["/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron"];
const toolTimeoutMs = 15_000;

/** systemd where it runs (or, below --root, where its directory is), else cron. */
export function scheduleKind({ system: { hostPaths } }: App): ScheduleKind {
  const sign = hostPaths.relocated ? "/etc/systemd/system" : "/run/systemd/system";
  return listDirectory(hostPaths.real(sign)) === undefined ? "cron" : "systemd";
}

/** What installing would do; with backups switched off or nothing scheduled, what removing would. */
export async function planScheduleInstall(
  app: App,
  state: EngineState,
  wish: ScheduleWish,
): Promise<Plan> {
  const schedule = app.settings.backup.enable_auto_backup ? backupSchedule(app) : [];
  if (schedule.length > 0) {
    assertTrusted(app);
    const plan = wish.kind === "cron" ? planCron(app, state, wish) : await planTimer(app, wish);
    const idle = wish.kind === "cron" ? noCron(app) : undefined;
    const warnings = idle === undefined ? [] : [`the schedule starts nothing yet: ${idle}`];
    return { ...plan, warnings: [...plan.warnings, ...warnings, ...programWarnings(app)] };
  }
  const removal = await planScheduleRemoval(app, state, wish.command);
  const warning =
    "BACKUP_ENABLE_AUTO_BACKUP is off or nothing is scheduled: there is nothing to install";
  return { ...removal, warnings: [...removal.warnings, warning] };
}

/** What taking the schedule off would do: timers and crontab block alike, whatever installed them. */
export async function planScheduleRemoval(
  app: App,
  state: EngineState,
  command: string,
): Promise<Plan> {
  const runs = systemdRuns(app);
  const states = await unitStates(app, { command, kind: "systemd", flags: [] });
  const present = states.filter(({ file }) => file !== "absent");
  const ours = present.filter(({ path }) => isOurs(path));
  const cron = planCronRemoval(app, state);
  return {
    command,
    operations: [
      ...(ours.length > 0 && runs ? [own(reloadOnUndo())] : []),
      ...(runs ? ours.filter(({ unit }) => unit.enabled).flatMap(stopUnit) : []),
      ...(ours.length > 0 && runs ? [forgetFailures("schedule", [`${unitName}.*`])] : []),
      ...ours.flatMap(({ unit, path }) => removeWantsLink(app, unit.name, path, runs)),
      ...ours.flatMap(({ unit }) => removeStamp(app, unit.name)),
      ...ours.flatMap(({ path }) => removeUnit(path, "the schedule is taken off")),
      ...(ours.length > 0 && runs ? [own(daemonReload())] : []),
      ...cron,
    ],
    conflicts: [],
    unchanged: 0,
    onTheHost: ours.length > 0 && !runs ? ["systemctl daemon-reload"] : [],
    warnings: present
      .filter(({ path }) => !isOurs(path))
      .map(({ path }) => `${path} stays: it was not written by citadel-agent`),
    annotations: { crontab: null },
  };
}

const systemdRuns = ({ system }: App) =>
  !system.hostPaths.relocated && lstat("/run/systemd/system")?.type === "directory";

/** Pseudo paths of our own: `uninstall` has the steps of the service in the same plan. */
const own = (step: Operation): Operation => ({
  ...step,
  path: absolutePath(step.path.replace(/([^/]+)$/, "schedule-$1")),
});

const isOurs = (path: AbsolutePath) =>
  readBytes(path)?.toString("latin1").startsWith(header) ?? false;

async function planTimer(app: App, wish: ScheduleWish): Promise<Plan> {
  const runs = systemdRuns(app);
  const states = await unitStates(app, wish);
  const directory = parentOf(unitPath(app, `${unitName}.timer`));
  const files = states.flatMap((each) => writeUnit(each));
  const isReloaded = files.length > 0 && runs;
  const { relocated } = app.system.hostPaths;
  return {
    command: wish.command,
    operations: [
      ...(isReloaded ? [own(reloadOnUndo())] : []),
      ...missingDirectories(directory, "units lie there"),
      ...files,
      ...(isReloaded ? [own(daemonReload())] : []),
      ...(runs ? states.flatMap((each) => systemdSteps(each, true)) : []),
      ...(runs ? [] : states.flatMap((each) => wantsLink(app, each))),
    ],
    conflicts: states
      .filter(({ file, path }) => file === "different" && !isOurs(path))
      .map(({ path }) => ({
        path,
        code: "UNIT_FOREIGN",
        message: `${path} was not written by citadel-agent`,
        hint: "move it away; own changes belong into `systemctl edit`, which leaves this file alone",
      })),
    unchanged: states.filter(({ file }) => file === "current").length,
    onTheHost: relocated ? ["systemctl daemon-reload", `systemctl start ${unitName}.timer`] : [],
    warnings: [],
  };
}

async function unitStates(app: App, wish: ScheduleWish): Promise<UnitState[]> {
  const runs = systemdRuns(app);
  const states: UnitState[] = [];
  for (const unit of [serviceUnit(app, wish), timerUnit(app)]) {
    const path = unitPath(app, unit.name);
    const text = readBytes(path)?.toString("utf8");
    const ask = async (word: string) => {
      if (!runs) return "";
      const run = await runProcess(["systemctl", word, unit.name], { timeoutMs: toolTimeoutMs });
      return run.stdout.trim();
    };
    states.push({
      unit,
      path,
      file: text === undefined ? "absent" : text === unit.content ? "current" : "different",
      enabled: await ask("is-enabled"),
      active: await ask("is-active"),
    });
  }
  return states;
}

function serviceUnit(app: App, wish: ScheduleWish): Unit {
  const command = commandOf(app, wish, quote);
  const content = `${header}.
[Unit]
Description=Backups of citadel-agent that are due

[Service]
Type=oneshot
ExecStart=${command}
${ownProgram}IOSchedulingClass=best-effort
IOSchedulingPriority=7
Nice=10
`;
  return { name: `${unitName}.service`, content, enabled: false };
}

function timerUnit(app: App): Unit {
  const times = backupSchedule(app)
    .flatMap(({ cron }) => toOnCalendar(cron))
    .map((text) => `OnCalendar=${text}`);
  const content = `${header}: the schedule of the settings, in local time.
[Unit]
Description=Schedule of citadel-agent backups

[Timer]
${[...new Set(times)].join("\n")}
Persistent=true
Unit=${unitName}.service

[Install]
WantedBy=timers.target
`;
  return { name: `${unitName}.timer`, content, enabled: true };
}

/** The installed binary, or this very program, as a timer or cron starts it. */
function commandOf(app: App, { flags }: ScheduleWish, asWord: (word: string) => string): string {
  return [...programOf(app), ...flags, "backup", "run-due"].map(asWord).join(" ");
}

/** crontab(5): a `%` is a newline even inside the shell's quotes, unless a backslash is before it. */
function quoteForCron(word: string): string {
  if (/^[\w@+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''").replaceAll("%", "\\%")}'`;
}

function programOf({ system: { hostPaths } }: App): readonly string[] {
  const isInstalled = hostPaths.relocated || lstat(installedBinary) !== undefined;
  return isInstalled ? [installedBinary] : selfCommand();
}

/**
 * What is to be started, and cannot be started yet. In a tree below --root the program may come later: that is said.
 * On the host itself assertTrusted refuses instead.
 */
function programWarnings(app: App): string[] {
  const [program = installedBinary] = programOf(app);
  const fault = programFault(app, program);
  if (fault === undefined) return [];
  const { relocated, root } = app.system.hostPaths;
  const how = relocated
    ? `\`citadel-agent --root ${root} service install\` puts it there`
    : "`citadel-agent service install` puts it there";
  return [`the schedule starts nothing yet: ${fault}; ${how}`];
}

/** @throws kind `permission`, code PROGRAM_NOT_TRUSTED, where somebody else could change what root would start */
function assertTrusted(app: App): void {
  const { environment, hostPaths } = app.system;
  if (hostPaths.relocated || !environment.isRoot) return;
  for (const [at, path] of programOf(app).entries()) assertTrustedProgram(path, at > 0);
}

function planCron(app: App, state: EngineState, wish: ScheduleWish): Plan {
  const path = crontabPath(app);
  const command = commandOf(app, wish, quoteForCron);
  const lines = backupSchedule(app).map(({ cron }) => `${cron} ${command}`);
  const former = readBytes(path);
  const content = Buffer.from(
    withCronBlock(former?.toString("latin1") ?? "", [...new Set(lines)]),
    "latin1",
  );
  const isCurrent = former?.equals(content) === true;
  const made = state.latestAnnotations()["crontab"] === "made";
  return {
    command: wish.command,
    operations: isCurrent
      ? []
      : [
          ...missingDirectories(parentOf(path), "crontabs lie there"),
          writeCrontab(path, former, content, "our block of the crontab"),
        ],
    conflicts: [],
    unchanged: isCurrent ? 1 : 0,
    onTheHost: [],
    warnings: [],
    ...(former === undefined && !made ? { annotations: { crontab: "made" } } : {}),
  };
}

/** Everything but our block stays byte for byte; a file that we made and that holds nothing else goes. */
function planCronRemoval(app: App, state: EngineState): Operation[] {
  const path = crontabPath(app);
  const former = readBytes(path);
  if (former === undefined) return [];
  const content = Buffer.from(withCronBlock(former.toString("latin1"), []), "latin1");
  if (content.equals(former)) return [];
  if (content.length === 0 && state.latestAnnotations()["crontab"] === "made") {
    return removeUnit(path, "our block of the crontab was all it held");
  }
  return [writeCrontab(path, former, content, "our block of the crontab goes")];
}

function crontabPath({ system: { hostPaths } }: App): AbsolutePath {
  const found = crontabDirectories.find(
    (each) => lstat(hostPaths.real(each))?.type === "directory",
  );
  return joinPath(hostPaths.real(found ?? "/var/spool/cron/crontabs"), "root");
}

function writeCrontab(
  path: AbsolutePath,
  former: Buffer | undefined,
  content: Buffer,
  why: string,
): Operation {
  return {
    op: "write_file",
    path,
    why,
    before: former === undefined ? { type: "absent" } : { type: "file", sha256: sha256Hex(former) },
    after: { type: "file", sha256: sha256Hex(content), mode: lstat(path)?.mode ?? 0o600 },
    content: content.toString("base64"),
    contentEncoding: "base64",
  };
}

function missingDirectories(directory: AbsolutePath, why: string): Operation[] {
  const steps: Operation[] = [];
  for (let at = directory; lstat(at) === undefined; at = parentOf(at)) {
    steps.unshift({ ...makeDirectory(at), why });
  }
  return steps;
}
