// What install and remove share.

import {
  planScheduleInstall,
  planScheduleRemoval,
  scheduleKind,
} from "../../../app/schedule-install.ts";
import type { ExitCode } from "../../../core/index.ts";
import type { EngineState, Plan } from "../../../transaction/index.ts";
import type { CommandContext } from "../../define.ts";
import {
  openServiceEngine,
  showServicePlan,
  showServiceReport,
  unitFlags,
} from "../../service/plan.ts";

export async function runInstall(
  context: CommandContext,
  { isRemoval, cron }: { readonly isRemoval: boolean; readonly cron: boolean },
): Promise<ExitCode> {
  const { app, globals, signal } = context;
  const command = `backup schedule ${isRemoval ? "remove" : "install"}`;
  const kind = cron ? "cron" : scheduleKind(app);
  const plan = (state: EngineState): Promise<Plan> =>
    isRemoval
      ? planScheduleRemoval(app, state, command)
      : planScheduleInstall(app, state, { command, kind, flags: unitFlags(context) });
  using engine = openServiceEngine(app);
  if (globals.dryRun) return showServicePlan(context, await plan(engine.state), []);
  const report = await engine.change({
    command,
    plan,
    expectedHash: globals.planHash,
    lockTimeoutMs: globals.lockTimeoutMs,
    signal,
  });
  return showServiceReport(context, report, []);
}
