// `config example`: a commented sample of every setting, made from the schema.

import { ExitCode } from "../../core/index.ts";
import { formatExample } from "../../settings/example.ts";
import { presetNames } from "../../settings/presets.ts";
import { defineAgentCommand } from "../define.ts";

export const command = defineAgentCommand({
  description: "prints a commented sample of every setting, for /etc/citadel",
  access: "read",
  settings: "none",
  args: {
    preset: {
      type: "enum",
      options: presetNames,
      description: "fill in what a known kind of host has",
    },
    format: {
      type: "enum",
      options: ["yaml", "env"],
      default: "yaml",
      description: "a configuration file, or an env file",
    },
  },
  examples: [
    "citadel-agent config example > /etc/citadel/agent.yml",
    "citadel-agent config example --preset planb-02",
    "citadel-agent config example --format env > /etc/citadel/agent.env",
  ],
  async run({ args, out }) {
    const text = formatExample(args.format, args.preset);
    const fields = { format: args.format, preset: args.preset ?? null, text };
    out.result("config-example", fields, () => text.trimEnd());
    return ExitCode.success;
  },
});
