// `links repair`: mends missing, broken and looping links; lists what a person has to decide.

import { defineAgentCommand } from "../define.ts";
import { commandText, forceArg, linksInsideArg } from "../layout-args.ts";
import { runLayoutChange } from "../layout-change.ts";

export const command = defineAgentCommand({
  description: "mends missing, broken and wrong links; the rest is listed",
  access: "change",
  args: { ...forceArg, ...linksInsideArg },
  examples: ["citadel-agent links repair --dry-run", "citadel-agent links repair --force"],
  async run(context) {
    const { args, words } = context;
    const { force } = args;
    const linksInside = args.links === "inside";
    const wish = {
      command: commandText(words, { force, links: linksInside ? "inside" : undefined }),
      scope: { directories: false, links: true, files: false },
      manner: "mend",
      force,
      linksInside,
    } as const;
    return runLayoutChange(context, wish, { asks: false });
  },
});
