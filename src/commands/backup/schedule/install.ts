// `backup schedule install`: systemd timers, or our own block of root's crontab.

import { defineAgentCommand } from "../../define.ts";
import { installArgs, runInstall } from "./change.ts";

export const command = defineAgentCommand({
  description: "installs the schedule: systemd timers, or our own block of root's crontab",
  access: "change",
  args: installArgs,
  examples: [
    "citadel-agent backup schedule install",
    "citadel-agent backup schedule install --cron",
  ],
  run: (context) => runInstall(context, false),
});
