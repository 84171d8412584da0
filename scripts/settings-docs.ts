// Writes docs/settings.md from the schema. Usage: bun scripts/settings-docs.ts
// The page is committed; test/settings/docs.test.ts fails when it is not what this script would write.

import { formatValue } from "../src/settings/example.ts";
import type { Field } from "../src/settings/field.ts";
import { inertSettings } from "../src/settings/inert.ts";
import { groups } from "../src/settings/schema.ts";

const introduction = `# Settings

This page is written by \`scripts/settings-docs.ts\` from the schema in \`src/settings\`. \`citadel-agent config example\`
prints the same as a commented file, \`config show --origin\` what is in effect and where it came from, and
\`config check\` everything that is wrong at once (exit 2).

## Where settings come from

From strongest to weakest:

1. flags of a command;
2. the process environment;
3. the env file: \`--env-file FILE\`, else \`/etc/citadel/agent.env\`, else \`.env\` in the working directory, the last only
   if it belongs to root or the caller and nobody else can write it (as root: if its directory is root's, too);
4. the configuration file: \`--config FILE\`, else \`/etc/citadel/agent.yml\`; YAML, TOML or JSON by its extension
   (\`.yml\`, \`.yaml\`, \`.toml\`, \`.json\`);
5. the defaults.

Below \`--root DIR\` the files are \`DIR/etc/citadel/agent.env\` and \`DIR/etc/citadel/agent.yml\`; \`--config\` and \`--env-file\`
always mean real paths. Paths in settings are host paths and are looked for below DIR.

A file that was named and cannot be read is an error. As root (also under sudo) an env, configuration or secret file
must be a regular file of root with one link that nobody else can write, and not a symbolic link; else the command
ends with 2. Files may have at most 1 MiB.

## Names

- Variables may be written in any case. In an env file the last line of a name wins; in the process environment the
  upper-case spelling.
- In the configuration file the keys stand in groups: \`paths\`, \`models\`, \`symlinks\`, \`monitoring\` (or \`monitor\`),
  \`backup\`, \`service\`, \`agent\`. A group \`storage\` is accepted.
- \`PATHS\`, \`MODELS\`, \`SYMLINKS\`, \`MONITORING\`, \`BACKUP\` may hold a whole group as a JSON object and then win over the single
  names of the same source. Other text in them is ignored with a warning: it may belong to another program.
- \`SYMLINK_OWNER\` and \`SYMLINK_GROUP\` are other names of \`SYMLINK_SYMLINK_OWNER\` and \`SYMLINK_SYMLINK_GROUP\`; the long names
  win. In an env file \`HOST\` and \`PORT\` are other names of \`CITADEL_SERVE_HOST\` and \`CITADEL_SERVE_PORT\`.
- Unknown names: in the configuration file an error; in an env file a warning with the nearest right name, and an error
  for \`config check\`; in the process environment one warning with \`--verbose\`.

## Values

- Whole numbers may have blanks around them; \`60.0\` and empty text are refused.
- Dictionaries are JSON objects in variables and mappings in files. They replace the default, they are not merged.
- Octal modes are text. In YAML and TOML an unquoted \`0755\` or \`0o755\` is understood as what was written.
- A path that nobody set follows its root: with \`CITADEL_MODELS_ROOT=/data\` alone, \`paths.models_active\` is
  \`/data/active\`. A path that was set stays as it is.
- An empty value of an optional setting means not set. An empty path is refused.

## Env files

The syntax is that of python-dotenv 1.2.4, which the original used; no shell is involved. An optional \`export\`; blanks around \`=\`;
single quotes keep the text, double quotes know \`\\n\`, \`\\t\`, \`\\"\` and \`\\\\\`; both may span lines; \`#\` begins a comment after a
blank; unquoted values may hold blanks; \`\${NAME}\` and \`\${NAME:-default}\` are replaced from the lines above, else from the
environment; \`$NAME\` stays as text. A broken line is a warning and the rest counts.

## Secrets

Settings marked *secret* are never shown: \`config show\`, errors and logs say \`***\`. Beside the variable, \`<NAME>_FILE\`
(in a file: \`<key>_file\`) may name a file that holds the secret, and systemd may pass it as a credential of the variable's
name (\`LoadCredential=CITADEL_PUSH_TOKEN:/path\`). A secret in a file that everybody can read is a warning.

## The generated environment

\`storage-env.sh\` exports the paths and \`CITADEL_ENV_ID\`, a hash of them. In a shell that sourced the script and changed
none of them, these values rank as defaults, below the configuration file: a changed file takes effect at once.

## Rules about several settings

- \`monitoring.disk_usage_warning\` is below \`monitoring.disk_usage_critical\`.
- \`monitoring.metrics_port\`, \`monitoring.health_check_port\` and \`service.port\` differ.
- \`backup.compression_level\` is at most 9 for gzip, 12 for lz4, 22 for zstd.
- Two aliases must not have the same variable \`CITADEL_MODEL_<ALIAS>\` (letters and digits stay, all else becomes \`_\`).
`;

/** A cell of a table: no line breaks, `|` escaped. */
const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function defaultText(field: Field): string {
  if (field.default === undefined) return "none";
  const text = formatValue(field, field.default);
  return `\`${text}\`${field.derived === undefined ? "" : ` (follows \`${field.derived.from}\`)`}`;
}

function row(group: string, key: string, field: Field): string {
  const names = [field.name, ...(field.aliases ?? [])].map((name) => `\`${name}\``).join(", ");
  const meaning = `${field.meaning}${inertSettings.has(`${group}.${key}`) ? "; *no effect yet*" : ""}`;
  const rule = `${field.type.rule}${field.type.secret === true ? "; *secret*" : ""}`;
  const cells = [`\`${key}\``, names, meaning, rule, defaultText(field)];
  return `| ${cells.map(cell).join(" | ")} |`;
}

/** The whole page. */
export function formatSettingsPage(): string {
  const tables = groups.map(({ name, title, fields }) =>
    [
      `## ${title} (\`${name}\`)`,
      "",
      "| key | variable | meaning | value | default |",
      "| --- | --- | --- | --- | --- |",
      ...Object.entries(fields).map(([key, field]) => row(name, key, field)),
      "",
    ].join("\n"),
  );
  return `${introduction}\n${tables.join("\n")}`;
}

if (import.meta.main) {
  await Bun.write(new URL("../docs/settings.md", import.meta.url).pathname, formatSettingsPage());
}
