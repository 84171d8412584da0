// `explain CODE`: what an error or alert code means, what causes it, what to do.

import { nearest } from "../cli/suggest.ts";
import { CitadelError, ExitCode } from "../core/index.ts";
import { loadExplanations, type FullExplanation } from "../explain/index.ts";
import { defineAgentCommand } from "./define.ts";

export const command = defineAgentCommand({
  description: "says what an error or alert code means and what to do; alone: lists all codes",
  access: "read",
  settings: "none",
  args: {
    code: { type: "positional", required: false, description: "a code as an error shows it" },
  },
  examples: ["citadel-agent explain NO_SPACE", "citadel-agent explain --json"],
  async run({ args, out }) {
    const all = await loadExplanations();
    if (args.code === undefined) {
      const codes = [...all.values()];
      out.result("explain", { codes: codes.map(summary) }, () =>
        out.style.table(codes.map(({ code, meaning }) => [code, firstSentence(meaning)])),
      );
      return ExitCode.success;
    }
    const found = all.get(args.code) ?? all.get(args.code.toUpperCase());
    if (found === undefined) throw unknownCode(args.code, [...all.keys()]);
    out.result("explain", { codes: [found] }, () => formatExplanation(found));
    return ExitCode.success;
  },
});

const summary = ({ code, area, meaning }: FullExplanation) => ({ code, area, meaning });

const firstSentence = (text: string) => text.split(/(?<=\.)\s/)[0] ?? text;

function formatExplanation({ code, meaning, causes, remedy }: FullExplanation): string {
  return [
    `${code}: ${meaning}`,
    "",
    "Causes",
    ...causes.map((cause) => `  - ${cause}`),
    "What to do",
    ...remedy.map((step, at) => `  ${at + 1}. ${step}`),
  ].join("\n");
}

function unknownCode(code: string, known: readonly string[]): CitadelError {
  const near = nearest(code, known);
  return new CitadelError({
    kind: "usage",
    code: "CODE_UNKNOWN",
    message: `unknown code ${JSON.stringify(code)}`,
    hint:
      near === undefined
        ? "`citadel-agent explain` lists all codes"
        : `did you mean \`citadel-agent explain ${near}\`?`,
  });
}
