// Codes of the models commands.

import type { Explanations } from "./define.ts";

export const explanations: Explanations = {
  MODEL_UNKNOWN: {
    meaning: "No configured model has this alias, key or directory name.",
    causes: ["a spelling mistake", "the model is on disk, but not in MODEL_MODEL_DIRECTORIES"],
    remedy: [
      "see the configured ones: `citadel-agent config show`",
      "add it to MODEL_MODEL_DIRECTORIES and MODEL_CONVENIENCE_LINKS",
    ],
  },
  NOT_IN_THIS_BUILD: {
    meaning: "The command line knows this flag, but this build does not do the work.",
    causes: ["the feature is planned and not built yet"],
    remedy: ["see the hint of the error for what can be done instead"],
  },
};
