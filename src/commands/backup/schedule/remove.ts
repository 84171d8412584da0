// `backup schedule remove`: takes away what install wrote, and nothing else.

import { defineAgentCommand } from "../../define.ts";
import { installArgs, runInstall } from "./change.ts";

export const command = defineAgentCommand({
  description: "removes our timers, or our block of root's crontab",
  access: "change",
  args: installArgs,
  examples: ["citadel-agent backup schedule remove"],
  run: (context) => runInstall(context, true),
});
