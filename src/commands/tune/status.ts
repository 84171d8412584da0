// `tune status`: what is in force now, what is pending, and which generation tuned this host.

import { viewTuning } from "../../app/host.ts";
import { openHostEngine, tuneHistory } from "../../app/tune-change.ts";
import { ExitCode } from "../../core/index.ts";
import { defineAgentCommand } from "../define.ts";
import { tuneArgs } from "./args.ts";
import { formatItems, section, tuneFields } from "./text.ts";

export const command = defineAgentCommand({
  description: "shows what of the tuning is in force now and what is pending",
  access: "read",
  args: { profile: tuneArgs.profile },
  examples: ["citadel-agent tune status", "citadel-agent tune status --json"],
  async run({ app, out, signal }) {
    const { tune, facts } = await viewTuning(app, { signal });
    using engine = openHostEngine(app);
    const { applied } = tuneHistory(engine);
    const [last] = applied;
    const open = tune.items.filter(({ state }) => state !== "ok" && state !== "not_applicable");
    const fields = {
      ...tuneFields(tune, facts),
      tuned: open.length === 0,
      generation: last?.id ?? null,
      applied_at: last?.time ?? null,
    };
    out.result("tune-status", fields, () => {
      const who = last === undefined ? "never by us" : `generation ${last.id}, ${last.time}`;
      const total = tune.items.length;
      return [
        `profile ${tune.profile}; tuned: ${who}`,
        formatItems(tune.items, out.style),
        section("risks", tune.risks, "critical", out.style),
        `${total - open.length} of ${total} items in force${open.length === 0 ? "" : "; `citadel-agent tune plan` shows the rest"}`,
      ]
        .filter((block) => block !== "")
        .join("\n\n");
    });
    return open.length === 0 ? ExitCode.success : ExitCode.findings;
  },
});
