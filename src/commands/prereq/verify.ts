// `prereq verify`: does this host have what the layout needs? Each failure with the command that mends it.

import { openLayoutState } from "../../app/layout-state.ts";
import { viewLayout } from "../../app/layout.ts";
import { verifyPrerequisites } from "../../app/prerequisites.ts";
import { ExitCode } from "../../core/index.ts";
import { printable } from "../../output/index.ts";
import { defineAgentCommand } from "../define.ts";

export const command = defineAgentCommand({
  description: "checks mounts, rights, users and tools; names the command that mends each failure",
  access: "read",
  args: {},
  examples: ["citadel-agent prereq verify", "citadel-agent prereq verify --json"],
  async run({ app, out, signal }) {
    using state = openLayoutState(app);
    const scope = { directories: false, links: false, files: false };
    const view = await viewLayout(app, state, { scope, signal });
    const checks = await verifyPrerequisites(app, view, signal);
    const errors = checks.filter(({ ok, level }) => !ok && level === "error");
    const { style } = out;
    out.result("prereq-verify", { ok: errors.length === 0, checks }, () =>
      style.table(
        checks.map(({ ok, level, name, found, fix }) => [
          ok
            ? style.paint("ok", "ok")
            : style.paint(level === "error" ? "critical" : "warning", level),
          printable(name),
          printable(found),
          fix === null ? "" : `-> ${printable(fix)}`,
        ]),
      ),
    );
    return errors.length > 0 ? ExitCode.findings : ExitCode.success;
  },
});
