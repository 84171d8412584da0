// Named sets of settings for `config example`: what a known kind of host has beside the defaults.

/** By `group.key`. */
export type Preset = Readonly<Record<string, unknown>>;

/** The host of the seed's storage task: short directory names, and its own figures for mounts. */
const planb02: Preset = {
  "models.model_directories": {
    "mixtral-8x7b-instruct": "mixtral-8x7b",
    "yi-34b-chat": "yi-34b",
    "nous-hermes-2-mixtral": "nous-hermes-2",
    "openchat-3.5": "openchat-3.5",
    "phi-3-mini-128k": "phi-3-mini",
    "deepcoder-14b-instruct": "deepcoder-14b",
    "mimo-vl-7b-rl": "mimo-vl-7b",
  },
  "agent.tune_profile": "planb-02",
};

export const presets = { "planb-02": planb02 } as const;
export type PresetName = keyof typeof presets;
export const presetNames = ["planb-02"] as const satisfies readonly PresetName[];
