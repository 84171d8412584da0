// `metrics`: what Prometheus would scrape, on stdout.

import { readMetrics } from "../app/metrics.ts";
import { ExitCode } from "../core/index.ts";
import { defineAgentCommand } from "./define.ts";

export const command = defineAgentCommand({
  description: "the metrics as Prometheus text, from the daemon if one runs, else looked at now",
  access: "read",
  args: { openmetrics: { type: "boolean", description: "in the OpenMetrics form" } },
  examples: ["citadel-agent metrics", "citadel-agent metrics | promtool check metrics"],
  async run({ app, args, out, signal }) {
    const format = args.openmetrics === true ? "openmetrics" : "prometheus";
    const { source, text } = await readMetrics(app, format, signal);
    out.result("metrics", { source, format, text }, () => text.trimEnd());
    return ExitCode.success;
  },
});
