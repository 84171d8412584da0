// Names that hold control characters, as every backup command shows them on a terminal: escaped, each on one line.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { formatOutcome } from "../../src/commands/backup/create.ts";
import { runCli } from "../support/run-cli.ts";
import { hasTerminal, runOnTerminal } from "../support/run-terminal.ts";

setDefaultTimeout(120_000);

const colours = "a\u001b[36mFORGED\u0007";
const lines = "b\nFORGED by a name\n";
const shownColours = "a\\e[36mFORGED\\x07";
const shownLines = "b\\nFORGED by a name\\n";

let root: string;
let first: string;
let second: string;
beforeAll(async () => {
  if (!hasTerminal) return;
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/backup-names-`));
  const source = `${root}/mnt/citadel-models/active`;
  fs.mkdirSync(source, { recursive: true });
  fs.mkdirSync(`${root}/mnt/citadel-backup`);
  const write = (fill: number) => {
    for (const name of [colours, lines])
      fs.writeFileSync(`${source}/${name}`, Buffer.alloc(9000, fill));
  };
  const create = async (): Promise<string> => {
    const run = await runCli([
      "--root",
      root,
      "backup",
      "create",
      "--plain",
      "--no-verify",
      "--json",
    ]);
    return String(run.json()["snapshot"]);
  };
  write(1);
  first = await create();
  write(2);
  second = await create();
});
afterAll(() => {
  if (root !== undefined) fs.rmSync(root, { recursive: true, force: true });
});

/** Runs it on a terminal; no name may have coloured, broken or forged a line. */
async function shown(...args: string[]): Promise<string> {
  const { stdout } = await runOnTerminal(["--root", root, ...args], { columns: 200 });
  expect(stdout).not.toContain("\u001b[36m");
  expect(stdout).not.toContain("\u0007");
  expect(stdout.split("\n").filter((line) => line.startsWith("FORGED"))).toEqual([]);
  return stdout;
}

function damage(id: string): void {
  for (const name of [colours, lines]) {
    const fd = fs.openSync(`${root}/mnt/citadel-backup/models/${id}/data/${name}`, "r+");
    fs.writeSync(fd, "damage", 100);
    fs.closeSync(fd);
  }
}

test.skipIf(!hasTerminal)(
  "diff, verify, restore and repair show control characters as escapes",
  async () => {
    const diff = await shown("backup", "diff", first, second);
    expect(diff).toContain(`M ${shownColours}\n`);
    expect(diff).toContain(`M ${shownLines}\n`);

    damage(first);
    for (const args of [
      ["verify", first],
      ["verify", "--all"],
      ["restore", first, "--to", "/restored"],
      ["repair", first, "--dry-run"],
      ["repair", first],
    ]) {
      const text = await shown("backup", ...args);
      expect({ args, text }).toMatchObject({ text: expect.stringContaining(shownColours) });
      expect({ args, text }).toMatchObject({ text: expect.stringContaining(shownLines) });
    }
  },
);

test.skipIf(!hasTerminal)(
  "a source with such a name is shown so by create, list and status",
  async () => {
    const source = `/mnt/${colours}`;
    fs.mkdirSync(`${root}${source}`);
    fs.writeFileSync(`${root}${source}/file`, "content");
    expect(await shown("backup", "create", source, "--dry-run")).toContain(shownColours);
    await shown("backup", "create", source);
    expect(await shown("backup", "status")).toContain(shownColours);
    await shown("backup", "list");
    expect(await shown("backup", "create", "/mnt/b\nFORGED")).toContain("b\\nFORGED");
  },
);

test("what create had to leave out is listed with escapes", () => {
  const skipped = [colours, lines].map((path) => ({ path, reason: "unreadable" as const }));
  const report = {
    snapshot: "id",
    directory: "/x",
    parent: null,
    type: "full" as const,
    files: 1,
    bytes: 1,
    copied_files: 1,
    copied_bytes: 1,
    linked_files: 0,
    skipped,
    skipped_total: 2,
    outside_links: 0,
    duration_s: 1,
    bytes_per_s: 1,
    resumed_files: 0,
    packed_files: 0,
    warnings: [],
  };
  const text = formatOutcome({ report: report as never, verification: undefined });
  expect(text).toContain(`unreadable  ${shownColours}\n`);
  expect(text).toEndWith(`unreadable  ${shownLines}`);
});
