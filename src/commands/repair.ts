// `repair`: finds and mends what is wrong with the layout, and lists what it may not decide.

import { planFilePermissions } from "../app/layout-permissions.ts";
import { defineAgentCommand } from "./define.ts";
import { commandText, forceArg, linksInsideArg } from "./layout-args.ts";
import { runLayoutChange } from "./layout-change.ts";

export const command = defineAgentCommand({
  description: "finds and mends broken links, directories, modes, owners and leftovers",
  access: "change",
  args: {
    ...forceArg,
    ...linksInsideArg,
    only: { type: "enum", options: ["links", "dirs"], description: "mend only these" },
    permissions: {
      type: "boolean",
      description: "insist on owners: an owner that does not exist is an error",
    },
    files: {
      type: "boolean",
      description: "with --permissions: also set the owner of files below the layout",
    },
  },
  examples: [
    "citadel-agent repair --dry-run",
    "citadel-agent repair --yes --only links",
    "citadel-agent repair --permissions --files",
  ],
  details:
    "Undoes what a killed command left, then plans and asks. It never deletes a file\nthat it did not make; what it cannot mend is listed with what to do (exit 3).",
  async run(context) {
    const { app, args, words, signal } = context;
    const { force, only, permissions, files } = args;
    const linksInside = args.links === "inside";
    const links = linksInside ? "inside" : undefined;
    const wish = {
      command: commandText(words, { force, only, permissions, files, links }),
      scope: {
        directories: only !== "links",
        links: only !== "dirs",
        files: only === undefined,
      },
      manner: "mend",
      force,
      linksInside,
      insistOnOwners: permissions,
      moreSteps:
        permissions === true && files === true
          ? (view: Parameters<typeof planFilePermissions>[1]) =>
              planFilePermissions(app, view, signal)
          : undefined,
    } as const;
    return runLayoutChange(context, wish, { asks: true });
  },
});
