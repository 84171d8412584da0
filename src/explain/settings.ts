// Codes of the settings.

import type { Explanations } from "./define.ts";

export const explanations: Explanations = {
  SETTINGS_INVALID: {
    meaning: "One or more settings are wrong; all of them are named. Nothing was done.",
    causes: [
      "a value out of range or of the wrong kind",
      "settings that contradict each other",
      "a typing error in a name",
      "as root: a settings or secret file that somebody else may write, or that is a symbolic link",
    ],
    remedy: [
      "correct each value at the place the message names (environment, env file, configuration file)",
      "`citadel-agent config check` shows what is left; `config show --origin` where each value came from",
    ],
  },
};
