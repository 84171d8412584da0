// `status`: one screen of what is known now.

import { readStatus, type StatusView } from "../app/status.ts";
import { ExitCode } from "../core/index.ts";
import { formatStatus } from "../output/status-text.ts";
import { clearScreen } from "../system/index.ts";
import { defineAgentCommand, type CommandContext } from "./define.ts";

const defaultIntervalS = 2;

export const command = defineAgentCommand({
  description: "one screen: storage, links, models, disks, backups, alerts, pending work",
  access: "read",
  args: {
    watch: { type: "boolean", description: "again and again, until Ctrl-C" },
    interval: {
      type: "number",
      min: 1,
      max: 3600,
      default: defaultIntervalS,
      valueHint: "S",
      description: "seconds between two looks with --watch",
    },
  },
  examples: [
    "citadel-agent status",
    "citadel-agent status --watch --interval 5",
    "citadel-agent status --json | jq .overall",
  ],
  details:
    "Exit 0 for ok and unknown, 3 from warning. Without privilege it shows what the\ndaemon wrote, if one runs; else it looks for itself. Nothing is invented: what\ncannot be known is `unknown`.",
  async run(context) {
    const { app, args, out, signal } = context;
    if (args.watch !== true) {
      const view = await readStatus(app, signal);
      show(context, view);
      for (const remark of view.remarks) out.note(remark);
      return exitCode(view);
    }
    const { clock, environment } = app.system;
    let view: StatusView;
    do {
      view = await readStatus(app, signal);
      if (signal.aborted) break;
      if (!out.json && environment.stdoutIsTerminal) clearScreen();
      show(context, view);
      await clock.sleep(args.interval * 1000, signal);
    } while (!signal.aborted);
    return exitCode(view);
  },
});

function show({ app, out }: CommandContext, { status }: StatusView): void {
  out.result("status", { ...status }, () =>
    formatStatus(status, app.system.clock.nowMs(), out.style),
  );
}

function exitCode({ status }: StatusView): ExitCode {
  return status.overall === "warning" || status.overall === "critical"
    ? ExitCode.findings
    : ExitCode.success;
}
