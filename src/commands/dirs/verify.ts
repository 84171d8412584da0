// `dirs verify`: are the directories of the layout there, with their modes and owners?

import { viewLayout } from "../../app/layout.ts";
import { openLayoutState } from "../../app/layout-state.ts";
import { ExitCode } from "../../core/index.ts";
import { verifyDirectories } from "../../layout/verify.ts";
import { formatDirectoriesReport } from "../../output/layout-text.ts";
import { defineAgentCommand } from "../define.ts";

export const command = defineAgentCommand({
  description: "checks every directory of the layout; exit 3 when one is wrong",
  access: "read",
  args: {},
  examples: ["citadel-agent dirs verify", "citadel-agent dirs verify --json"],
  async run({ app, out, signal }) {
    using state = openLayoutState(app);
    const view = await viewLayout(app, state, {
      scope: { directories: true, links: false, files: false },
      signal,
    });
    const report = verifyDirectories(view.desired, view.actual, view.ownersMatter);
    out.result("dirs-verify", { ...report }, () => formatDirectoriesReport(report, out.style));
    return report.issues.length > 0 ? ExitCode.findings : ExitCode.success;
  },
});
