// `validate`: the ten checks of the seed. Exit 0 only when all ten hold.

import { validateHost } from "../app/validate.ts";
import { ExitCode } from "../core/index.ts";
import { formatSummary, type Check } from "../host/validate/index.ts";
import { printable, wrap, type Style } from "../output/index.ts";
import { defineAgentCommand } from "./define.ts";
import { tuneArgs } from "./tune/args.ts";

export const command = defineAgentCommand({
  description: "runs the ten checks of the storage set-up; exit 0 only when all hold",
  access: "read",
  args: { profile: tuneArgs.profile },
  examples: [
    "citadel-agent validate",
    "citadel-agent validate --json",
    "citadel-agent --root /host validate",
  ],
  async run({ app, out, signal }) {
    const validation = await validateHost(app, signal);
    const { checks, passed, total, score } = validation;
    out.result("validate", { checks, passed, total, score }, () => {
      const isGood = passed === total;
      const summary = out.style.paint(isGood ? "ok" : "critical", formatSummary(validation));
      return [...checks.map((check, at) => formatCheck(check, at, out.style)), "", summary].join(
        "\n",
      );
    });
    return passed === total ? ExitCode.success : ExitCode.findings;
  },
});

const indent = 18;

function formatCheck(check: Check, at: number, style: Style): string {
  const word = check.ok ? style.paint("ok", "ok  ") : style.paint("critical", "FAIL");
  const head = `${String(at + 1).padStart(2)}  ${word}  ${style.paint("strong", check.name)}`;
  const line = (title: string, text: string) =>
    wrap(`          ${title.padEnd(indent - 10)}${printable(text)}`, indent, style);
  const found = line("found", check.found);
  if (check.ok) return `${head}\n${style.paint("dim", found)}`;
  return [head, found, line("wanted", check.wanted), line("fix", check.fix ?? "")].join("\n");
}
