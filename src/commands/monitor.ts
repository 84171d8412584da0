// `monitor`: the daemon; `--once` looks once and ends.

import { lookOnce } from "../app/monitor-once.ts";
import { openApp } from "../app/open-app.ts";
import { openLayoutEngine } from "../app/layout-engine.ts";
import { ExitCode } from "../core/index.ts";
import { runDaemon } from "../daemon.ts";
import { formatStatus } from "../output/status-text.ts";
import { createStatusDocument } from "../status/index.ts";
import { version } from "../version.ts";
import { defineAgentCommand, type CommandContext } from "./define.ts";

export const command = defineAgentCommand({
  description: "watches storage, links, disks, models, backups and the host, and repairs links",
  access: "read",
  daemon: true,
  args: {
    once: { type: "boolean", description: "run each probe once, show it, exit 0 or 3" },
    interval: {
      type: "number",
      min: 1,
      max: 2_000_000,
      valueHint: "S",
      setting: "monitoring.check_interval",
      description: "seconds between two looks, in place of the setting",
    },
  },
  examples: [
    "citadel-agent monitor",
    "citadel-agent monitor --interval 10",
    "citadel-agent monitor --once --json",
  ],
  details:
    "Runs until SIGINT or SIGTERM (exit 0); SIGHUP reads the settings again. One\ndaemon runs per host (exit 5 for a second one). As a service:\n`citadel-agent service install`.",
  async run(context) {
    const { app, args, globals, signal } = context;
    if (args.once === true) return await runOnce(context);
    const { config, envFile } = globals;
    const overrides =
      args.interval === undefined
        ? {}
        : { "monitoring.check_interval": { flag: "--interval", value: args.interval } };
    await runDaemon({
      app,
      reload: async () => (await openApp(app.system, globals, overrides)).app,
      childFlags: [
        ...(config === undefined ? [] : ["--config", config]),
        ...(envFile === undefined ? [] : ["--env-file", envFile]),
      ],
      lockTimeoutMs: 0,
      signal,
    });
    return ExitCode.success;
  },
});

async function runOnce({ app, out, signal }: CommandContext): Promise<ExitCode> {
  const look = await lookOnce(app, { signal });
  using engine = openLayoutEngine(app);
  const status = createStatusDocument({
    samples: look.samples,
    overall: look.overall,
    alerts: [],
    pending: engine.state.pending,
    agent: { version: version().version, pid: null, uptimeS: null },
    source: "now",
    intervalS: null,
  });
  out.result("status", status, () => formatStatus(status, app.system.clock.nowMs(), out.style));
  return status.overall === "warning" || status.overall === "critical"
    ? ExitCode.findings
    : ExitCode.success;
}
