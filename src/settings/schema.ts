// The whole of the settings: every group with its fields, in the order of the reference.

import type { Field } from "./field.ts";
import { agentFields, type AgentSettings } from "./groups/agent.ts";
import { backupFields, type BackupSettings } from "./groups/backup.ts";
import { modelsFields, type ModelsSettings } from "./groups/models.ts";
import { monitoringFields, type MonitoringSettings } from "./groups/monitoring.ts";
import { pathsFields, type PathsSettings } from "./groups/paths.ts";
import { serviceFields, type ServiceSettings } from "./groups/service.ts";
import { symlinksFields, type SymlinksSettings } from "./groups/symlinks.ts";

/** The settings in effect. Names are the keys of the configuration file: `settings.paths.models_root`. */
export interface Settings {
  readonly paths: PathsSettings;
  readonly models: ModelsSettings;
  readonly symlinks: SymlinksSettings;
  readonly monitoring: MonitoringSettings;
  readonly backup: BackupSettings;
  readonly service: ServiceSettings;
  readonly agent: AgentSettings;
}

export type GroupName = keyof Settings;

export interface Group {
  readonly name: GroupName;
  /** What the fields' variables begin with. */
  readonly prefix: string;
  /** The variable that may hold the whole group as a JSON object, as in the original. */
  readonly variable: string | undefined;
  readonly title: string;
  readonly fields: Readonly<Record<string, Field>>;
}

function group(
  name: GroupName,
  prefix: string,
  variable: string | undefined,
  title: string,
  fields: Readonly<Record<string, unknown>>,
): Group {
  // The tables are typed field by field; here they are read by name, each with its own type inside.
  return { name, prefix, variable, title, fields: fields as Readonly<Record<string, Field>> };
}

export const groups: readonly Group[] = [
  group("paths", "CITADEL_", "PATHS", "Paths", pathsFields),
  group("models", "MODEL_", "MODELS", "Models", modelsFields),
  group("symlinks", "SYMLINK_", "SYMLINKS", "Symlinks", symlinksFields),
  group("monitoring", "STORAGE_MONITOR_", "MONITORING", "Monitoring", monitoringFields),
  group("backup", "BACKUP_", "BACKUP", "Backup", backupFields),
  group("service", "CITADEL_SERVE_", undefined, "HTTP service", serviceFields),
  group("agent", "CITADEL_", undefined, "Agent", agentFields),
];

/** `group.key` of the configuration file, and where the field is declared. */
export interface KnownField {
  readonly key: string;
  readonly group: GroupName;
  readonly fieldName: string;
  readonly field: Field;
}

export const knownFields: readonly KnownField[] = groups.flatMap((each) =>
  Object.entries(each.fields).map(([fieldName, field]) => ({
    key: `${each.name}.${fieldName}`,
    group: each.name,
    fieldName,
    field,
  })),
);
