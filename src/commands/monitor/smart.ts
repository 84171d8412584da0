// `monitor smart`: what citadel-agent-smart.service runs.

import { refreshSmartFile, smartFilePath } from "../../app/monitor-smart.ts";
import { ExitCode } from "../../core/index.ts";
import { smartSection } from "../../monitor/documents.ts";
import { defineAgentCommand } from "../define.ts";

export const command = defineAgentCommand({
  description: "asks the disks for their SMART values and leaves them for the sandboxed daemon",
  access: "change",
  args: {},
  examples: ["citadel-agent monitor smart"],
  async run({ app, globals, out, signal }) {
    const path = smartFilePath(app);
    if (globals.dryRun) {
      out.result("monitor-smart", { path, dry_run: true }, () => `would write ${path}`);
      return ExitCode.success;
    }
    const sample = await refreshSmartFile(app, signal);
    const section = smartSection({ smart: sample }, "now");
    const { disks, state } = section;
    out.result("monitor-smart", { path, smart: section }, () => `${disks.length} disks: ${state}`);
    return ExitCode.success;
  },
});
