// The service on this host: what its units should say, and what is there. The plans between are service-plan.ts.

import { toOnCalendar } from "../backup/schedule.ts";
import { joinPath, type AbsolutePath } from "../core/index.ts";
import { serviceUnits, unitNames, type Unit } from "../service/units.ts";
import { lstat, readText, runProcess, selfCommand } from "../system/index.ts";
import { mayReadKernelLog } from "../system/kernel-log.ts";
import { sameFile } from "../system/install-binary.ts";
import type { App } from "./app.ts";
import { backupSchedule } from "./backup-schedule.ts";
import { findServiceUser, toLayoutOptions } from "./layout.ts";

/** Where the units point, as the booted host sees it. */
export const installedBinary = "/usr/local/bin/citadel-agent";
const unitDirectory = "/etc/systemd/system";
const toolTimeoutMs = 15_000;

export interface UnitState {
  readonly unit: Unit;
  readonly path: AbsolutePath;
  /** Absent, as it should be, or something else. */
  readonly file: "absent" | "current" | "different";
  /** systemctl's own words; empty where it was not asked. */
  readonly enabled: string;
  readonly active: string;
}

export interface ServiceView {
  readonly binaryPath: AbsolutePath;
  /** The program that is installed against the one that runs now. */
  readonly binary: "absent" | "current" | "different";
  readonly hasPrevious: boolean;
  /** The compiled binary; undefined: we run from sources, and there is nothing to install. */
  readonly self: string | undefined;
  readonly units: readonly UnitState[];
  /** Units of ours that the settings do not want any more. */
  readonly obsolete: readonly AbsolutePath[];
  /** systemd runs here and may be asked. */
  readonly hasSystemd: boolean;
}

/** Looks at binary and units; changes nothing. */
export async function viewService(app: App, flags: readonly string[]): Promise<ServiceView> {
  const { hostPaths } = app.system;
  const binaryPath = hostPaths.real(installedBinary);
  const own = selfCommand();
  const self = own.length === 1 ? own[0] : undefined;
  const hasSystemd = !hostPaths.relocated && lstat("/run/systemd/system")?.type === "directory";
  const wanted = await wantedUnits(app, flags);
  const units: UnitState[] = [];
  for (const unit of wanted) {
    const path = unitPath(app, unit.name);
    const text = readText(path);
    const isTemplate = unit.name.includes("@.");
    const ask = (word: string) =>
      hasSystemd && !isTemplate ? askSystemctl(word, unit.name) : Promise.resolve("");
    units.push({
      unit,
      path,
      file: text === undefined ? "absent" : text === unit.content ? "current" : "different",
      enabled: await ask("is-enabled"),
      active: await ask("is-active"),
    });
  }
  const names = new Set(wanted.map(({ name }) => name));
  return {
    binaryPath,
    binary: binaryState(self, binaryPath),
    hasPrevious: lstat(`${binaryPath}.previous`) !== undefined,
    self,
    units,
    obsolete: unitNames
      .filter((name) => !names.has(name))
      .map((name) => unitPath(app, name))
      .filter((path) => lstat(path) !== undefined),
    hasSystemd,
  };
}

export const unitPath = ({ system }: App, name: string): AbsolutePath =>
  joinPath(system.hostPaths.real(unitDirectory), name);

function binaryState(self: string | undefined, path: string): ServiceView["binary"] {
  if (lstat(path) === undefined) return "absent";
  return self === undefined || sameFile(self, path) ? "current" : "different";
}

async function askSystemctl(word: string, name: string): Promise<string> {
  const run = await runProcess(["systemctl", word, name], { timeoutMs: toolTimeoutMs });
  return run.stdout.trim();
}

async function wantedUnits(app: App, flags: readonly string[]): Promise<Unit[]> {
  const { settings, system } = app;
  const { paths, monitoring, backup, agent } = settings;
  const user = await findServiceUser(app, toLayoutOptions(app));
  return serviceUnits({
    binary: installedBinary,
    flags,
    roots: [paths.app_root, paths.models_root, paths.backup_root],
    stateDir: agent.state_dir,
    homes: user.home === undefined || user.home === "/" ? [] : [user.home],
    smartIntervalS: monitoring.smart_check_interval,
    smart: monitoring.enable_smart_checks,
    kernelLog: !system.hostPaths.relocated && mayReadKernelLog("/dev/kmsg"),
    monitoring: monitoring.enable_monitoring,
    backupTimes: backup.enable_auto_backup
      ? backupSchedule(app).flatMap(({ cron }) => toOnCalendar(cron))
      : [],
  });
}
