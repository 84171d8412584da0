// `health`: one look at everything that the monitor watches.

import { lookOnce } from "../app/monitor-once.ts";
import { ExitCode } from "../core/index.ts";
import { healthDocument } from "../monitor/health.ts";
import { formatHealth } from "../output/health-text.ts";
import { defineAgentCommand } from "./define.ts";

export const command = defineAgentCommand({
  description: "checks storage, links, disks, models, backups and the host once",
  access: "read",
  args: {
    trend: {
      type: "boolean",
      description: "growth per day and time to full, from the daemon's history",
    },
  },
  examples: [
    "citadel-agent health",
    "citadel-agent health --trend",
    "citadel-agent health --json | jq .smart_health",
  ],
  async run({ app, args, out, signal }) {
    const { samples, overall, historyProblem, wornOutInS } = await lookOnce(app, { signal });
    const trend = args.trend === true;
    if (trend && historyProblem !== undefined) out.warn(`no trends: ${historyProblem}`);
    const document = healthDocument(samples, overall, trend ? wornOutInS : undefined);
    out.result("health", document, () => formatHealth(document, out.style));
    return overall === "warning" || overall === "critical" ? ExitCode.findings : ExitCode.success;
  },
});
