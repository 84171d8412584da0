// `config check`: everything that is wrong with the settings, at once. Also names what loading only warns about.

import { ExitCode } from "../../core/index.ts";
import {
  formatProblem,
  inspectSettings,
  type InspectedSettings,
  type SettingsWarning,
} from "../../settings/index.ts";
import { defineAgentCommand } from "../define.ts";

export const command = defineAgentCommand({
  description: "checks the settings and names everything that is wrong, unknown names included",
  access: "read",
  settings: "none", // it loads them itself: their errors are its result
  args: {},
  examples: [
    "citadel-agent config check",
    "citadel-agent config check --config ./agent.yml --env-file ./agent.env",
  ],
  async run({ app, globals, out }) {
    const inspected = inspectSettings({ system: app.system, flags: globals });
    const unknown = inspected.warnings.filter(({ failsCheck }) => failsCheck);
    const warnings = inspected.warnings.filter(({ failsCheck }) => !failsCheck);
    const isValid = inspected.problems.length === 0 && unknown.length === 0;
    const fields = {
      valid: isValid,
      problems: [
        ...inspected.problems.map((each) => ({ ...each, value: each.value ?? null })),
        ...unknown.map(({ message }) => ({ name: null, value: null, source: null, rule: message })),
      ],
      warnings: warnings.map(({ message }) => message),
      env_file: inspected.envFile ?? null,
      config_file: inspected.configFile ?? null,
    };
    out.result("config-check", fields, () => formatCheck(inspected, unknown, warnings));
    return isValid ? ExitCode.success : ExitCode.usage;
  },
});

function formatCheck(
  { problems, envFile, configFile }: InspectedSettings,
  unknown: readonly SettingsWarning[],
  warnings: readonly SettingsWarning[],
): string {
  const errors = [...problems.map(formatProblem), ...unknown.map(({ message }) => message)];
  const files = [configFile, envFile].filter((file) => file !== undefined);
  const read = files.length === 0 ? "no file was read" : `read: ${files.join(", ")}`;
  return [
    ...errors.map((text) => `error: ${text}`),
    ...warnings.map(({ message }) => `warning: ${message}`),
    errors.length === 0
      ? `the settings are right (${read})`
      : `${errors.length} ${errors.length === 1 ? "error" : "errors"} (${read})`,
  ].join("\n");
}
