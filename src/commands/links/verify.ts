// `links verify`: is every link there and does it lead where it should?

import { viewLayout } from "../../app/layout.ts";
import { openLayoutState } from "../../app/layout-state.ts";
import { ExitCode } from "../../core/index.ts";
import { hasFindings, verifyLinks } from "../../layout/verify.ts";
import { formatLinksReport } from "../../output/layout-text.ts";
import { defineAgentCommand } from "../define.ts";
import { linksInsideArg } from "../layout-args.ts";

export const command = defineAgentCommand({
  description: "checks every link of the layout; exit 3 when one is wrong",
  access: "read",
  args: { ...linksInsideArg },
  examples: ["citadel-agent links verify", "citadel-agent links verify --json"],
  async run({ app, args, out, signal }) {
    using state = openLayoutState(app);
    const view = await viewLayout(app, state, {
      scope: { directories: false, links: true, files: false },
      linksInside: args.links === "inside",
      signal,
    });
    const { links: _links, ...report } = verifyLinks(
      view.desired,
      view.actual,
      view.history,
      view.ownersMatter,
    );
    out.result("links-verify", { ...report }, () => formatLinksReport(report, out.style));
    return hasFindings(report) ? ExitCode.findings : ExitCode.success;
  },
});
