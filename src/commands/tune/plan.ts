// `tune plan`: what tuning would do to this host. Reads only; works without privilege.

import { viewTuning } from "../../app/host.ts";
import { ExitCode } from "../../core/index.ts";
import { planHash } from "../../transaction/index.ts";
import { defineAgentCommand } from "../define.ts";
import { tuneArgs } from "./args.ts";
import { countSteps, formatTunePlan, shownSteps, stepFields, tuneFields } from "./text.ts";

export const command = defineAgentCommand({
  description: "shows what tuning would do to this host, and why; changes nothing",
  access: "read",
  args: tuneArgs,
  examples: [
    "citadel-agent tune plan",
    "citadel-agent tune plan --profile planb-02 --json",
    "citadel-agent --root /host tune plan",
  ],
  async run({ app, args, out, signal }) {
    const { tune, facts } = await viewTuning(app, { remountNow: args.remountNow, signal });
    const hash = planHash(tune.plan);
    const fields = { ...tuneFields(tune, facts), ...stepFields(tune.plan, hash) };
    out.result("tune-plan", fields, () => {
      const count = shownSteps(tune.plan.operations).length;
      const end = count === 0 ? "nothing to change" : `${countSteps(count)}; nothing was changed`;
      return `${formatTunePlan(tune, facts, out.style)}\n\nplan ${hash}: ${end}`;
    });
    return ExitCode.success;
  },
});
