// The environment as text: for sh and bash, for fish, as JSON. Silent when sourced, safe under `set -eu`, and
// quoting whatever a path can hold.

import type { EnvironmentValues } from "./env-values.ts";

/** The first line of every script of ours: a file that has it may be written anew. */
export const scriptMarker = "# Written by citadel-agent: changes are lost.";

/** In single quotes the shell takes everything as it is; a quote itself needs to step out (POSIX 2.2.2). */
export function quoteSh(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}

/** In fish's single quotes only `\` and `'` are special, each escaped by `\` (fish-shell, "Quotes"). */
export function quoteFish(value: string): string {
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

const intro = (count: number) => [
  scriptMarker,
  "# Make it anew with: citadel-agent env --write",
  `# ${count} variables for vLLM and the Hugging Face tools (CITADEL_MODELS_STAGING among them, which older`,
  "# scripts did not set); CITADEL_ENV_ID says that the values are the agent's own.",
];

/** The script that sh, dash and bash source. */
export function formatShScript(values: EnvironmentValues): string {
  const lines = Object.entries(values).map(([name, value]) => `export ${name}=${quoteSh(value)}`);
  return `${[...intro(lines.length - 1), ...lines].join("\n")}\n`;
}

/** The script that fish sources. */
export function formatFishScript(values: EnvironmentValues): string {
  const lines = Object.entries(values).map(
    ([name, value]) => `set -gx ${name} ${quoteFish(value)}`,
  );
  return `${[...intro(lines.length - 1), ...lines].join("\n")}\n`;
}
