// Writes src/settings/inert.ts: the settings that are accepted and that no part of the program reads yet, so that
// `config show` can say so. Usage: bun scripts/settings-inert.ts (then scripts/settings-docs.ts)
// test/settings/inert.test.ts fails when the list is not what this script would write.

import { readFileSync, writeFileSync } from "node:fs";
import { knownFields, type KnownField } from "../src/settings/schema.ts";

const root = new URL("..", import.meta.url).pathname;

/** Everything that may read a setting, as one text. */
function readSources(): string {
  const files = [...new Bun.Glob("src/**/*.ts").scanSync(root)];
  const readers = files.filter((file) => !/^src\/(?:settings|schemas|explain)\//.test(file)).sort();
  return readers.map((file) => readFileSync(`${root}${file}`, "utf8")).join("\n");
}

/** A key is read where its name stands behind a dot, or is taken out of a group in braces. */
function isRead({ group, fieldName }: KnownField, source: string): boolean {
  const plain = new RegExp(`\\.${fieldName}\\b|[{,]\\s*${fieldName}\\s*[:,}]`);
  // Words of everyday use say nothing by themselves.
  const ofGroup = new RegExp(`\\b${group}\\.${fieldName}\\b`);
  return (/^(?:host|port|bind)$/.test(fieldName) ? ofGroup : plain).test(source);
}

/** The keys that nothing reads, in the order of the reference. */
export function findInertKeys(): string[] {
  const source = readSources();
  return knownFields.filter((known) => !isRead(known, source)).map(({ key }) => key);
}

export function formatInertModule(keys: readonly string[]): string {
  const lines = keys.map((key) => `  "${key}",\n`).join("");
  const list = keys.length === 0 ? "[]" : `[\n${lines}]`;
  return `// Settings that are accepted and checked, and that nothing reads yet. Written by scripts/settings-inert.ts.

export const inertSettings: ReadonlySet<string> = new Set${keys.length === 0 ? "<string>" : ""}(${list});
`;
}

if (import.meta.main) {
  writeFileSync(`${root}src/settings/inert.ts`, formatInertModule(findInertKeys()));
}
