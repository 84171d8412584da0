// The jobs that the daemon starts, and how: as a unit of systemd where ours is installed, else as a child that
// outlives us.

import { nextRun } from "../backup/schedule.ts";
import { CitadelError } from "../core/index.ts";
import type { Job } from "../monitor/jobs.ts";
import { lstat, runProcess, selfCommand } from "../system/index.ts";
import { startDetached } from "../system/start-detached.ts";
import type { App } from "./app.ts";
import { backupSchedule } from "./backup-schedule.ts";
import { createDueLook } from "../monitor/due-look.ts";

const unitPath = "/etc/systemd/system/citadel-agent-backup@.service";
const startTimeoutMs = 20_000;

/** @param flags global flags that the children need too: `--config FILE` */
export function monitorJobs(app: App, flags: readonly string[]): Job[] {
  const { hostPaths } = app.system;
  if (hostPaths.relocated) return []; // a tree is not a running host
  if (!app.settings.backup.enable_auto_backup) return [];
  return [
    {
      name: "backup",
      isDue: createDueLook({
        nowMs: app.system.clock.nowMs,
        nextAfter: (atMs) => nextRun(backupSchedule(app), atMs)?.dueMs,
      }),
      start: () => startJob(app, "run-due", ["backup", "run-due", ...flags]),
    },
  ];
}

async function startJob(app: App, instance: string, words: readonly string[]): Promise<void> {
  if (app.system.environment.variables["INVOCATION_ID"] === undefined || !lstat(unitPath)) {
    startDetached([...selfCommand(), ...words]);
    return;
  }
  // A unit that runs already is left alone: systemd does not start it twice.
  const unit = `citadel-agent-backup@${instance}.service`;
  const { exitCode, stderr } = await runProcess(["systemctl", "start", "--no-block", unit], {
    timeoutMs: startTimeoutMs,
  });
  if (exitCode === 0) return;
  throw new CitadelError({
    kind: "unavailable",
    code: "JOB_NOT_STARTED",
    message: `systemd did not start ${unit}: ${stderr.trim().slice(0, 200)}`,
    hint: `see \`systemctl status ${unit}\``,
  });
}
