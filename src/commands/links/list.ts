// `links list`: the links of the layout, where they lead, and how they are.

import { viewLayout } from "../../app/layout.ts";
import { openLayoutState } from "../../app/layout-state.ts";
import { ExitCode } from "../../core/index.ts";
import { verifyLinks } from "../../layout/verify.ts";
import { formatLinksList } from "../../output/layout-text.ts";
import { defineAgentCommand } from "../define.ts";
import { linksInsideArg } from "../layout-args.ts";

export const command = defineAgentCommand({
  description: "lists the links of the layout with their targets and states",
  access: "read",
  args: { ...linksInsideArg },
  examples: ["citadel-agent links list", "citadel-agent links list --json | jq '.links[].path'"],
  async run({ app, args, out, signal }) {
    using state = openLayoutState(app);
    const view = await viewLayout(app, state, {
      scope: { directories: false, links: true, files: false },
      linksInside: args.links === "inside",
      signal,
    });
    const report = verifyLinks(view.desired, view.actual, view.history, view.ownersMatter);
    out.result("links-list", { ...report }, () => formatLinksList(report, out.style));
    return ExitCode.success;
  },
});
