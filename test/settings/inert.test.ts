import { readFileSync } from "node:fs";
import { expect, test } from "bun:test";
import { findInertKeys, formatInertModule } from "../../scripts/settings-inert.ts";

test("src/settings/inert.ts lists what nothing reads: run `bun scripts/settings-inert.ts`, then settings-docs.ts", () => {
  const path = new URL("../../src/settings/inert.ts", import.meta.url).pathname;
  expect(readFileSync(path, "utf8")).toBe(formatInertModule(findInertKeys()));
});
