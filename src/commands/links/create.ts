// `links create`: makes and mends the links of the layout; refuses what is not a link of ours.

import { defineAgentCommand } from "../define.ts";
import { commandText, conflictArgs, forceArg, linksInsideArg } from "../layout-args.ts";
import { runLayoutChange } from "../layout-change.ts";

export const command = defineAgentCommand({
  description: "makes the links of the layout, as one transaction",
  access: "change",
  args: { ...forceArg, ...conflictArgs, ...linksInsideArg },
  examples: [
    "citadel-agent links create --dry-run",
    "citadel-agent links create --force",
    "citadel-agent links create --adopt",
  ],
  async run(context) {
    const { args, words } = context;
    const { adopt, force } = args;
    const moveAside = args.moveAside;
    const linksInside = args.links === "inside";
    const flags = { force, adopt, "move-aside": moveAside };
    const wish = {
      command: commandText(words, { ...flags, links: linksInside ? "inside" : undefined }),
      scope: { directories: false, links: true, files: false },
      manner: "strict",
      force,
      adopt,
      moveAside,
      linksInside,
    } as const;
    return runLayoutChange(context, wish, { asks: false });
  },
});
