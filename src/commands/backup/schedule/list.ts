// `backup schedule list` and `backup schedule next`: when what runs.

import { backupSchedule, dueNow, lastRuns } from "../../../app/backup-schedule.ts";
import { nextRun, nextTime } from "../../../backup/schedule.ts";
import { ExitCode, formatRelative, formatTime } from "../../../core/index.ts";
import { defineAgentCommand } from "../../define.ts";
import { toRunDocument } from "../run-due.ts";

export const command = defineAgentCommand({
  description: "the schedule: cron texts in local time, last and next run of each type",
  access: "read",
  args: {},
  examples: ["citadel-agent backup schedule list"],
  async run({ app, out }) {
    const nowMs = app.system.clock.nowMs();
    const schedule = backupSchedule(app);
    const last = lastRuns(app);
    const enabled = app.settings.backup.enable_auto_backup;
    const rows = schedule.map(({ tag, cron }) => ({
      tag,
      cron,
      lastMs: last.get(tag),
      nextMs: nextTime(cron, nowMs),
    }));
    const asTime = (atMs: number | undefined) => (atMs === undefined ? null : formatTime(atMs));
    const fields = {
      enabled,
      schedule: rows.map(({ tag, cron, lastMs, nextMs }) => ({
        tag,
        cron,
        last: asTime(lastMs),
        next: asTime(nextMs),
      })),
      due: toRunDocument(dueNow(app)),
      next: enabled ? toRunDocument(nextRun(schedule, nowMs)) : null,
    };
    out.result("backup-schedule", fields, () => {
      const ago = (atMs: number | undefined) =>
        atMs === undefined ? "never" : formatRelative(atMs, nowMs);
      const table = out.style.table(
        rows.map(({ tag, cron, lastMs, nextMs }) => [tag, cron, ago(lastMs), ago(nextMs)]),
        { header: ["TYPE", "CRON", "LAST", "NEXT"] },
      );
      return enabled ? table : `${table}\nswitched off by BACKUP_ENABLE_AUTO_BACKUP`;
    });
    return ExitCode.success;
  },
});
