// `backup schedule next`: the next run.

import { backupSchedule } from "../../../app/backup-schedule.ts";
import { nextRun } from "../../../backup/schedule.ts";
import { ExitCode } from "../../../core/index.ts";
import {
  describeRunners,
  findScheduleRunners,
  isRunOnTime,
} from "../../../app/schedule-runners.ts";
import { printable } from "../../../output/index.ts";
import { defineAgentCommand } from "../../define.ts";
import { formatDue, toRunDocument } from "../run-due.ts";

export const command = defineAgentCommand({
  description: "the next run of the schedule, with its types",
  access: "read",
  args: {},
  examples: ["citadel-agent backup schedule next"],
  async run({ app, out }) {
    const enabled = app.settings.backup.enable_auto_backup;
    const nowMs = app.system.clock.nowMs();
    const run = enabled ? nextRun(backupSchedule(app), nowMs) : undefined;
    const found = findScheduleRunners(app);
    const fields = { next: toRunDocument(run), automatic: enabled ? found.automatic : false };
    out.result("backup-schedule-next", fields, () => {
      if (run === undefined) return "nothing is scheduled";
      const text = `${formatDue(run.dueMs, nowMs)}  ${run.tags.join(", ")}`;
      return isRunOnTime(found) ? text : `${text}\n${printable(describeRunners(found))}`;
    });
    return ExitCode.success;
  },
});
