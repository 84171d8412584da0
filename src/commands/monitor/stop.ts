// `monitor stop`: ends the daemon from another process.

import { stopMonitor } from "../../app/monitor-stop.ts";
import { ExitCode } from "../../core/index.ts";
import { defineAgentCommand } from "../define.ts";

export const command = defineAgentCommand({
  description: "stops the monitor that runs on this host, and waits until it is gone",
  access: "change",
  args: {},
  examples: ["citadel-agent monitor stop"],
  async run({ app, globals, out, signal }) {
    if (globals.dryRun) {
      out.result("monitor-stop", { dry_run: true }, () => "would stop the monitor");
      return ExitCode.success;
    }
    const { pid, by } = await stopMonitor(app, signal);
    const how = by === "systemd" ? " (the service stays enabled and starts at the next boot)" : "";
    out.result("monitor-stop", { pid, by }, () => `stopped process ${pid}${how}`);
    return ExitCode.success;
  },
});
