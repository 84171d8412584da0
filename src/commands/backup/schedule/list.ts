// `backup schedule list`: when what runs, and whether anything runs it.

import { backupSchedule, dueNow, tagSchedules } from "../../../app/backup-schedule.ts";
import {
  describeRunners,
  findScheduleRunners,
  isRunOnTime,
} from "../../../app/schedule-runners.ts";
import { nextRun } from "../../../backup/schedule.ts";
import { ExitCode, formatRelative, formatTime } from "../../../core/index.ts";
import { printable } from "../../../output/index.ts";
import { defineAgentCommand } from "../../define.ts";
import { toRunDocument } from "../run-due.ts";

export const command = defineAgentCommand({
  description: "the schedule: cron texts in local time, last and next run of each type",
  access: "read",
  args: {},
  examples: ["citadel-agent backup schedule list"],
  async run({ app, out }) {
    const nowMs = app.system.clock.nowMs();
    const rows = tagSchedules(app);
    const enabled = app.settings.backup.enable_auto_backup;
    const found = findScheduleRunners(app);
    const asTime = (atMs: number | undefined) => (atMs === undefined ? null : formatTime(atMs));
    const fields = {
      enabled,
      automatic: enabled ? found.automatic : false,
      runners: found.runners,
      schedule: rows.map(({ tag, cron, lastMs, nextMs }) => ({
        tag,
        cron,
        last: asTime(lastMs),
        next: asTime(nextMs),
      })),
      due: toRunDocument(dueNow(app)),
      next: enabled ? toRunDocument(nextRun(backupSchedule(app), nowMs)) : null,
    };
    out.result("backup-schedule", fields, () => {
      const last = (atMs: number | undefined) =>
        atMs === undefined ? "never" : formatRelative(atMs, nowMs);
      const next = (atMs: number | undefined) =>
        atMs !== undefined && atMs <= nowMs ? `due, ${formatRelative(atMs, nowMs)}` : last(atMs);
      const table = out.style.table(
        rows.map(({ tag, cron, lastMs, nextMs }) => [tag, cron, last(lastMs), next(nextMs)]),
        { header: ["TYPE", "CRON", "LAST", "NEXT"] },
      );
      if (!enabled) return `${table}\nswitched off by BACKUP_ENABLE_AUTO_BACKUP`;
      const tone = isRunOnTime(found) ? "dim" : "warning";
      return `${table}\n${out.style.paint(tone, printable(describeRunners(found)))}`;
    });
    return ExitCode.success;
  },
});
