// The editor on recorded fstab files of real machines, and against findmnt, which reads fstab as mount(8) does.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseFstab, replaceOptions, type FstabEntry } from "../../src/host/fstab.ts";
import { mergeOptions } from "../../src/host/mount-options.ts";
import { fixturesRoot, listFixtures } from "../support/fixtures.ts";
import { corpus } from "./fstab-corpus.ts";

interface FoundEntry {
  readonly source: string;
  readonly target: string;
  readonly fstype: string;
  readonly options: string;
}

const hasFindmnt = Bun.which("findmnt") !== null;
if (!hasFindmnt)
  console.log("fstab-recorded.test.ts: findmnt is missing, its reading is not compared");

/** What findmnt reads; lines it cannot parse are left out, as mount(8) ignores them. */
function readByFindmnt(path: string): FoundEntry[] {
  const command = [
    "findmnt",
    "--tab-file",
    path,
    "--list",
    "--json",
    "-o",
    "SOURCE,TARGET,FSTYPE,OPTIONS",
  ];
  const run = Bun.spawnSync(command, {
    env: { LC_ALL: "C.UTF-8", PATH: "/usr/bin:/bin" },
    stderr: "ignore",
  });
  const text = run.stdout.toString();
  return text === "" ? [] : (JSON.parse(text) as { filesystems: FoundEntry[] }).filesystems;
}

function compareWithFindmnt(bytes: Uint8Array): void {
  const directory = mkdtempSync(`${tmpdir()}/citadel-fstab-`);
  try {
    const path = `${directory}/fstab`;
    writeFileSync(path, bytes);
    const theirs = readByFindmnt(path);
    const ours = parseFstab(bytes).entries.filter((entry) => entry.unsafe === undefined);
    for (const entry of ours) {
      const match = theirs.find(
        ({ target, fstype, options }) =>
          target.replace(/(.)\/+$/, "$1") === entry.mountpoint &&
          fstype === entry.fstype &&
          options === (entry.options ?? options),
      );
      // findmnt shows swap's target as it is, and nothing for a comment.
      expect(
        `${entry.lineNumber} ${entry.mountpoint}: ${match === undefined ? "not so" : "same"}`,
      ).toBe(`${entry.lineNumber} ${entry.mountpoint}: same`);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe("what we edit, mount(8) reads as we do", () => {
  const plain = corpus.filter((file) => file.refused === undefined);
  test.skipIf(!hasFindmnt).each(plain.map((file) => [file.name, file] as const))(
    "%s",
    (_name, file) => compareWithFindmnt(Buffer.from(file.text)),
  );
});

const names = listFixtures("fstab", ".fstab");
const recorded = describe.skipIf(fixturesRoot === undefined);

recorded("recorded files", () => {
  test("there are recorded files to test with", () => expect(names.length).toBeGreaterThan(20));

  test.each(names)("%s: any one entry's options change, and nothing else", (name) => {
    const before = readFileSync(`${fixturesRoot}/fstab/${name}`);
    const fstab = parseFstab(before);
    for (const entry of fstab.entries) {
      if (entry.unsafe !== undefined || entry.options === undefined) continue;
      const merged = mergeOptions(entry.options, ["noatime", "nodiratime"]);
      const after = replaceOptions(fstab, new Map<FstabEntry, string>([[entry, merged.text]]));
      const text = Buffer.from(after).toString("latin1");
      expect(text.slice(0, entry.start)).toBe(fstab.text.slice(0, entry.start));
      expect(text.slice(entry.start + merged.text.length)).toBe(fstab.text.slice(entry.end));
      const again = parseFstab(after).entries.find((each) => each.lineNumber === entry.lineNumber);
      expect(again?.options).toBe(merged.text);
      expect(mergeOptions(again?.options, ["noatime", "nodiratime"]).added).toEqual([]);
    }
    expect(Buffer.compare(replaceOptions(fstab, new Map()), before)).toBe(0);
  });

  test.skipIf(!hasFindmnt).each(names)("%s: findmnt reads the same", (name) => {
    compareWithFindmnt(readFileSync(`${fixturesRoot}/fstab/${name}`));
  });
});
