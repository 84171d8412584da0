// `backup schedule remove`: takes away what install wrote, and nothing else.

import { defineAgentCommand } from "../../define.ts";
import { runInstall } from "./change.ts";

export const command = defineAgentCommand({
  description: "removes our timers and our block of root's crontab",
  access: "change",
  args: {
    cron: { type: "boolean", hidden: true, description: "as for install; both are removed anyway" },
  },
  examples: ["citadel-agent backup schedule remove"],
  run: (context) => runInstall(context, { isRemoval: true, cron: false }),
});
