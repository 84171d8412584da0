// Settings: schema, sources, loading.
export type { HistoryKeep } from "./dictionaries.ts";
export type { AgentSettings } from "./groups/agent.ts";
export type { BackupSettings } from "./groups/backup.ts";
export type { ModelsSettings } from "./groups/models.ts";
export type { MonitoringSettings } from "./groups/monitoring.ts";
export type { PathsSettings } from "./groups/paths.ts";
export type { ServiceSettings } from "./groups/service.ts";
export type { SymlinksSettings } from "./groups/symlinks.ts";
export * from "./load.ts";
export * from "./origin.ts";
export type { GroupName, Settings } from "./schema.ts";
