// `service uninstall`: takes the units off, and the binary.

import { uninstallService } from "../../app/service-install.ts";
import { defineAgentCommand } from "../define.ts";
import { openServiceEngine, showServicePlan, showServiceReport, unitFlags } from "./plan.ts";

export const command = defineAgentCommand({
  description: "stops and removes the units, and the binary that `service install` placed",
  access: "change",
  args: { keepBinary: { type: "boolean", description: "leave /usr/local/bin/citadel-agent" } },
  examples: ["citadel-agent service uninstall", "citadel-agent service uninstall --dry-run"],
  async run(context) {
    const { app, args, globals, signal } = context;
    using engine = openServiceEngine(app);
    const outcome = await uninstallService(app, engine, {
      flags: unitFlags(context),
      keepBinary: args.keepBinary === true,
      dryRun: globals.dryRun,
      expectedHash: globals.planHash,
      lockTimeoutMs: globals.lockTimeoutMs,
      signal,
    });
    return "plan" in outcome
      ? showServicePlan(context, outcome.plan, outcome.notes)
      : showServiceReport(context, outcome.report, outcome.notes);
  },
});
