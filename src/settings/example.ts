// `config example`: a commented configuration file or env file with every setting, made from the schema.

import type { Field } from "./field.ts";
import { presets, type PresetName } from "./presets.ts";
import { groups } from "./schema.ts";

export type ExampleFormat = "yaml" | "env";

const heading: Readonly<Record<ExampleFormat, string>> = {
  yaml: `# Configuration of citadel-agent: /etc/citadel/agent.yml (as root: owned by root, writable by nobody else).
# Lines that begin with "#" and no blank are the defaults; take the "#" off to change one.
# The variable named with a setting wins over this file. A path that is not set follows its root.`,
  env: `# Environment file of citadel-agent: /etc/citadel/agent.env (as root: owned by root, writable by nobody else).
# Lines that begin with "#" and no blank are the defaults; take the "#" off to change one.
# The process environment wins over this file, this file over /etc/citadel/agent.yml.`,
};

/** @returns the text of the file; it loads to the defaults, or to the preset */
export function formatExample(format: ExampleFormat, preset?: PresetName): string {
  const chosen = preset === undefined ? {} : presets[preset];
  const lines = [heading[format]];
  if (preset !== undefined) lines.push(`# Preset: ${preset}.`);
  for (const group of groups) {
    lines.push("", `# ${group.title}`);
    if (format === "yaml") lines.push(`${group.name}:`);
    for (const [key, field] of Object.entries(group.fields)) {
      const value = chosen[`${group.name}.${key}`];
      lines.push(...(format === "yaml" ? yamlLines(key, field, value) : envLines(field, value)));
    }
  }
  return `${lines.join("\n")}\n`;
}

function yamlLines(key: string, field: Field, value: unknown): string[] {
  const remark = [`  # ${field.name}: ${describe(field)}`];
  if (field.type.secret === true) {
    return [...remark, `  # ${key}_file: path of a file with the secret`, `  #${key}: ""`];
  }
  if (value === undefined) return [...remark, `  #${key}: ${yamlValue(field, field.default)}`];
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(
      ([name, entry]) => `    ${yamlText(name)}: ${yamlText(String(entry))}`,
    );
    return [...remark, `  ${key}:`, ...entries];
  }
  return [...remark, `  ${key}: ${yamlValue(field, value)}`];
}

/** JSON is YAML: dictionaries stay on one line. Octal and cron texts get quotes, as they must have in YAML. */
function yamlValue(field: Field, value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (value !== null && typeof value === "object") return JSON.stringify(value);
  return yamlText(formatValue(field, value));
}

const plainYaml = /^[a-z/][\w./-]*$/i;
const yamlWords = /^(?:true|false|yes|no|on|off|null|y|n)$/i;

function yamlText(text: string): string {
  return plainYaml.test(text) && !yamlWords.test(text) ? text : JSON.stringify(text);
}

function envLines(field: Field, value: unknown): string[] {
  const remark = `# ${describe(field)}`;
  if (field.type.secret === true) {
    return [remark, `# ${field.name}_FILE=path of a file with the secret`, `#${field.name}=`];
  }
  const text = envText(formatValue(field, value === undefined ? field.default : value));
  return [remark, `${value === undefined ? "#" : ""}${field.name}=${text}`];
}

/** Quotes what a shell or systemd would read otherwise than we do. */
function envText(text: string): string {
  if (/^[\w./:@,+-]*$/.test(text)) return text;
  return text.includes("'")
    ? `"${text.replace(/[\\"]/g, "\\$&")}"`
    : `'${text.replace(/\\/g, "\\\\")}'`;
}

/** The meaning, and the rule or what it follows, in one line. */
function describe({ meaning, type, derived }: Field): string {
  if (derived !== undefined) return `${meaning}; follows ${derived.from}${derived.suffix}`;
  return `${meaning} (${type.rule})`;
}

/** The value as text for a variable. */
export function formatValue(field: Field, value: unknown): string {
  // `default` and presets are values of the field's own type; the table of fields has forgotten which.
  return field.type.format(value as never);
}
