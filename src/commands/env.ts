// `env`: the environment for vLLM and the Hugging Face tools, to source or to write.

import { viewLayout } from "../app/layout.ts";
import { openLayoutState } from "../app/layout-state.ts";
import { ExitCode } from "../core/index.ts";
import { formatFishScript, formatShScript } from "../layout/env-script.ts";
import { defineAgentCommand } from "./define.ts";
import { commandText, conflictArgs, forceArg, linksInsideArg } from "./layout-args.ts";

export const command = defineAgentCommand({
  description:
    "prints the environment for vLLM and Hugging Face tools; --write generates the script",
  access: "read",
  changes: ({ write }) => write === true,
  args: {
    shell: {
      type: "enum",
      options: ["sh", "fish", "json"],
      default: "sh",
      description: "for sh and bash, for fish, or as one JSON object",
    },
    write: { type: "boolean", description: "write configs/storage-env.sh where it is stale" },
    moveAside: conflictArgs.moveAside,
    ...forceArg,
    ...linksInsideArg,
  },
  examples: [
    'eval "$(citadel-agent env)"',
    "citadel-agent env --shell fish | source",
    "citadel-agent env --write",
  ],
  async run(context) {
    const { app, args, out, signal, words } = context;
    const linksInside = args.links === "inside";
    const { force, moveAside, write } = args;
    if (write === true) {
      const flags = { write, force, "move-aside": moveAside };
      const wish = {
        command: commandText(words, { ...flags, links: linksInside ? "inside" : undefined }),
        scope: { directories: false, links: false, files: true },
        manner: "strict",
        force,
        moveAside,
        linksInside,
      } as const;
      const { runLayoutChange } = await import("./layout-change.ts"); // the engine, only when it writes
      return runLayoutChange(context, wish, { asks: false });
    }
    using state = openLayoutState(app);
    const scope = { directories: false, links: false, files: false };
    const view = await viewLayout(app, state, { scope, linksInside, signal });
    const { environment } = view.desired;
    if (args.shell === "json" && !out.json) {
      out.verbatim(JSON.stringify(environment, null, 2));
      return ExitCode.success;
    }
    const { CITADEL_ENV_ID: id, ...variables } = environment;
    out.result("env", { id, count: Object.keys(variables).length, variables }, () => {
      const script = args.shell === "fish" ? formatFishScript : formatShScript;
      return script(environment).trimEnd();
    });
    return ExitCode.success;
  },
});
