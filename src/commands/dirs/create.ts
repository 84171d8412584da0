// `dirs create`: makes the directories of the layout, with their modes and owners.

import { defineAgentCommand } from "../define.ts";
import { runLayoutChange } from "../layout-change.ts";

export const command = defineAgentCommand({
  description: "makes the directories of the layout; sets modes and owners",
  access: "change",
  args: {},
  examples: ["citadel-agent dirs create --dry-run", "citadel-agent dirs create"],
  async run(context) {
    const wish = {
      command: context.words.join(" "),
      scope: { directories: true, links: false, files: false },
      manner: "strict",
    } as const;
    return runLayoutChange(context, wish, { asks: false });
  },
});
