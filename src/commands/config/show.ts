// `config show`: the settings in effect and where each of them came from. Secrets are masked.

import { ExitCode } from "../../core/index.ts";
import { showSettings, type ShownSetting } from "../../settings/display.ts";
import { inspectSettings, settingsError } from "../../settings/index.ts";
import { defineAgentCommand } from "../define.ts";

export const command = defineAgentCommand({
  description: "shows the settings in effect; secrets are masked",
  access: "read",
  settings: "none", // it loads them itself, to know the origins
  args: {
    origin: { type: "boolean", description: "also where each value came from, and by which name" },
  },
  examples: ["citadel-agent config show --origin", "citadel-agent config show --json"],
  async run({ app, args, globals, out }) {
    const inspected = inspectSettings({ system: app.system, flags: globals });
    if (inspected.problems.length > 0) throw settingsError(inspected.problems);
    for (const { message, verboseOnly } of inspected.warnings) {
      if (!verboseOnly || globals.verbosity > 0) out.warn(message);
    }
    const shown = showSettings(inspected);
    const fields = {
      settings: Object.fromEntries(shown.map((each) => [each.key, documentEntry(each)])),
      env_file: inspected.envFile ?? null,
      config_file: inspected.configFile ?? null,
    };
    out.result("config", fields, () => {
      // The value comes last: a dictionary is a long line.
      const rows = shown.map((each) => [
        each.key,
        ...(args.origin === true ? [each.originText, each.origin.name] : []),
        each.inert ? `${each.text}  (no effect)` : each.text,
      ]);
      const header = ["SETTING", ...(args.origin === true ? ["FROM", "NAME"] : []), "VALUE"];
      return out.style.table(rows, { header });
    });
    return ExitCode.success;
  },
});

const documentEntry = ({ value, originText, origin, inert }: ShownSetting) => ({
  value,
  origin: originText,
  name: origin.name,
  inert,
});
