// Codes of `incident`.

import type { Explanations } from "./define.ts";

export const explanations: Explanations = {
  FLAGS_CONTRADICT: {
    meaning: "Two flags of one command ask for things that exclude each other.",
    causes: ["`--out -` beside `--json`: both want standard output"],
    remedy: ["leave one of the two out, as the message says"],
  },
  OUTPUT_IS_TERMINAL: {
    meaning: "An archive would have been written to a terminal.",
    causes: ["`--out -` without a redirection"],
    remedy: ["redirect standard output into a file or a pipe: `… --out - > incident.tar.gz`"],
  },
};
