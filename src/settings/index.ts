// Settings: schema, sources, loading. (Filled in by settings/schema.ts.)
export interface Settings {
  readonly paths: Readonly<Record<string, string>>;
}
