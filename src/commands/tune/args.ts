// Flags that the tune commands share.

export const tuneArgs = {
  profile: {
    type: "enum",
    options: ["safe", "planb-02"],
    setting: "agent.tune_profile",
    description: "which figures are wanted (default: CITADEL_TUNE_PROFILE, which is safe)",
  },
  remountNow: {
    type: "boolean",
    default: false,
    description: "unmount and mount for data=, if nothing is open there",
  },
} as const;
