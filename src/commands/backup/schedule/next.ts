// `backup schedule next`: the next run.

import { backupSchedule } from "../../../app/backup-schedule.ts";
import { nextRun } from "../../../backup/schedule.ts";
import { ExitCode } from "../../../core/index.ts";
import { defineAgentCommand } from "../../define.ts";
import { toRunDocument } from "../run-due.ts";

export const command = defineAgentCommand({
  description: "the next run of the schedule, with its types",
  access: "read",
  args: {},
  examples: ["citadel-agent backup schedule next"],
  async run({ app, out }) {
    const enabled = app.settings.backup.enable_auto_backup;
    const run = enabled ? nextRun(backupSchedule(app), app.system.clock.nowMs()) : undefined;
    out.result("backup-schedule-next", { next: toRunDocument(run) }, () =>
      run === undefined
        ? "nothing is scheduled"
        : `${new Date(run.dueMs).toString()}  ${run.tags.join(", ")}`,
    );
    return ExitCode.success;
  },
});
