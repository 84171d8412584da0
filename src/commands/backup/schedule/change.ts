// What install and remove share.

import { applySchedule, planSchedule, scheduleKind } from "../../../app/backup-schedule.ts";
import { ExitCode } from "../../../core/index.ts";
import { readText } from "../../../system/index.ts";
import type { CommandContext } from "../../define.ts";

export const installArgs = {
  cron: { type: "boolean", description: "root's crontab even where systemd runs" },
} as const;

export async function runInstall(
  { app, args, out, globals, signal }: CommandContext<typeof installArgs>,
  isRemoval: boolean,
): Promise<ExitCode> {
  const kind = args.cron === true ? "cron" : scheduleKind(app);
  const plan = planSchedule(app, kind, isRemoval);
  const changed = plan.files.filter(({ path, content }) => readText(path) !== content);
  const files = changed.map(({ path, content }) => ({
    path,
    op: content === undefined ? "remove" : "write",
  }));
  const onTheHost = globals.dryRun
    ? plan.commands.map((command) => command.join(" "))
    : await applySchedule(app, plan, signal);
  const verb = isRemoval ? "removed" : "installed";
  out.result(
    "backup-schedule-install",
    { kind, files, on_the_host: onTheHost, applied: !globals.dryRun },
    () =>
      [
        ...files.map(({ op, path }) => `${globals.dryRun ? "would " : ""}${op} ${path}`),
        files.length === 0
          ? "nothing to change"
          : `${globals.dryRun ? "plan only" : verb} (${kind})`,
        ...onTheHost.map((command) => `on the host: ${command}`),
      ].join("\n"),
  );
  return ExitCode.success;
}
