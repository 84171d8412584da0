// `service install`: the binary in its place, the units, enabled.

import { installService } from "../../app/service-install.ts";
import { defineAgentCommand } from "../define.ts";
import { openServiceEngine, showServicePlan, showServiceReport, unitFlags } from "./plan.ts";

export const command = defineAgentCommand({
  description: "installs this binary and its systemd units, and enables them",
  access: "change",
  args: {
    now: { type: "boolean", description: "start the service now, or restart it if it runs" },
    previous: { type: "boolean", description: "go back to the binary that was there before" },
  },
  examples: [
    "citadel-agent service install --now",
    "citadel-agent service install --dry-run",
    "citadel-agent service install --previous --now",
  ],
  details:
    "The binary goes to /usr/local/bin/citadel-agent (works while it runs; the former\none stays as citadel-agent.previous). Run it again after an upgrade, or after a\nchange of paths or intervals in the settings.",
  async run(context) {
    const { app, args, globals, signal } = context;
    using engine = openServiceEngine(app);
    const outcome = await installService(app, engine, {
      flags: unitFlags(context),
      now: args.now === true,
      previous: args.previous === true,
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
