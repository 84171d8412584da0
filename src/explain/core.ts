// Codes of core/: values that people write, and bugs of ours.

import type { Explanations } from "./define.ts";

export const explanations: Explanations = {
  INTERNAL: {
    meaning: "The agent found itself in a state that should not exist. This is a bug of the agent.",
    causes: ["a bug in citadel-agent", "a damaged binary"],
    remedy: [
      "run the command again with `--verbose` to see where it failed",
      "collect `citadel-agent incident` and report it; what was changed is in `citadel-agent history`",
    ],
  },
  SIZE_INVALID: {
    meaning: "A size could not be read.",
    causes: ["an unknown unit", "a sign or an exponent", "an empty value"],
    remedy: ["write a number with an optional unit: `512`, `10MB`, `1.5GiB`; units count in 1024"],
  },
  PATH_NOT_ABSOLUTE: {
    meaning: "A path does not start at the root, or holds a NUL byte.",
    causes: [
      "a relative path in a setting or an argument (SOURCE and --to of `backup` count from the working directory, which with --root has to lie in that tree)",
      "an empty value",
    ],
    remedy: ["give the whole path, starting with `/`"],
  },
  UNSUPPORTED: {
    meaning: "This build cannot do what was asked; nothing was touched.",
    causes: ["a step that this version does not offer", "a host without what the step needs"],
    remedy: ["do what the hint of the message says instead"],
  },
};
