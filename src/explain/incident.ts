// Codes of `incident`.

import type { Explanations } from "./define.ts";

export const explanations: Explanations = {
  FLAGS_CONTRADICT: {
    meaning: "Two flags of one command ask for things that exclude each other.",
    causes: ["`--out -` beside `--json`: both want standard output"],
    remedy: ["leave one of the two out, as the message says"],
  },
  LOG_NOT_PLAIN: {
    meaning:
      "A log of the agent is a link, a FIFO, or a file with a second name; it was left out of the bundle.",
    causes: ["the service user put something else in its place"],
    remedy: ["look at it with `ls -li` and remove it; the agent begins a new one"],
  },
  SCRATCH_NOT_PRIVATE: {
    meaning:
      "Root's self-test was told to work where another user could rename or swap what it works on.",
    causes: ["a part of the path belongs to someone else, or others may write it"],
    remedy: [
      "run it as the owner of the directory: `sudo -u OWNER citadel-agent selftest --torture DIR`",
      "or make a directory of root's on the same file system",
    ],
  },
  OUTPUT_IS_TERMINAL: {
    meaning: "An archive would have been written to a terminal.",
    causes: ["`--out -` without a redirection"],
    remedy: ["redirect standard output into a file or a pipe: `… --out - > incident.tar.gz`"],
  },
};
