// `completion SHELL`: a script for the shell, generated from the map of commands.

import { formatCompletion, shells } from "../cli/completion-scripts.ts";
import { readCompletionPlaces } from "../cli/completion-words.ts";
import { commandMap } from "../cli.ts";
import { ExitCode } from "../core/index.ts";
import { defineAgentCommand } from "./define.ts";

export const command = defineAgentCommand({
  description: "prints the completion script of a shell",
  access: "read",
  settings: "none",
  args: {
    shell: { type: "positional", options: shells, description: "the shell" },
  },
  examples: [
    "source <(citadel-agent completion bash)",
    "citadel-agent completion bash > /etc/bash_completion.d/citadel-agent",
    "citadel-agent completion fish > ~/.config/fish/completions/citadel-agent.fish",
  ],
  async run({ args, out }) {
    const script = formatCompletion(args.shell, await readCompletionPlaces(commandMap));
    out.result("completion", { shell: args.shell, script }, () => script.trimEnd());
    return ExitCode.success;
  },
});
