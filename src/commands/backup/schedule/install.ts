// `backup schedule install`: systemd timers, or our own block of root's crontab.

import { defineAgentCommand } from "../../define.ts";
import { runInstall } from "./change.ts";

export const command = defineAgentCommand({
  description: "installs the schedule: systemd timers, or our own block of root's crontab",
  details:
    "They start `backup run-due`. With the daemon (`service install`) none is\nneeded, and one beside it does no harm. Run it again after a change of the\nschedule; with BACKUP_ENABLE_AUTO_BACKUP=no it removes what it installed.",
  access: "change",
  args: {
    cron: { type: "boolean", description: "root's crontab even where systemd runs" },
  },
  examples: [
    "citadel-agent backup schedule install",
    "citadel-agent backup schedule install --cron",
    "citadel-agent backup schedule install --dry-run",
  ],
  run: (context) => runInstall(context, { isRemoval: false, cron: context.args.cron === true }),
});
