import { describe, expect, test } from "bun:test";
import {
  addEntries,
  findEntry,
  findEntryHolding,
  parseFstab,
  replaceOptions,
  type FstabEntry,
} from "../../src/host/fstab.ts";
import { mergeOptions, wantedOptions, type StorageRole } from "../../src/host/mount-options.ts";
import { corpus, type CorpusFile } from "./fstab-corpus.ts";

const points: Record<StorageRole, string> = {
  models: "/mnt/citadel-models",
  backup: "/mnt/citadel-backup",
};
const journal = { hasJournal: true, mayAssumeJournal: false };
const bytesOf = (file: CorpusFile) => Buffer.from(file.text);

/** One turn of the editor with the safe profile: what `tune apply` writes. */
function edit(bytes: Uint8Array): Uint8Array {
  const fstab = parseFstab(bytes);
  const changes = new Map<FstabEntry, string>();
  for (const role of ["models", "backup"] as const) {
    const entry = findEntry(fstab, points[role]);
    if (entry === undefined) continue;
    const wanted = wantedOptions(role, "safe", entry.fstype, journal);
    const merged = mergeOptions(entry.options, wanted.options);
    if (merged.added.length > 0) changes.set(entry, merged.text);
  }
  return replaceOptions(fstab, changes);
}

/** The file without the option fields of our two entries. */
function withoutOptions(bytes: Uint8Array): string {
  const fstab = parseFstab(bytes);
  const ours = fstab.entries.filter((entry) => Object.values(points).includes(entry.mountpoint));
  let text = fstab.text;
  for (const entry of ours.toReversed()) {
    const start = entry.options === undefined ? entry.start : entry.start - 1; // the blank before a new field
    text = text.slice(0, Math.max(start, 0)) + text.slice(entry.end);
  }
  return text;
}

const accepted = corpus.filter((file) => file.refused === undefined);

describe.each(accepted.map((file) => [file.name, file] as const))("fstab: %s", (_name, file) => {
  const before = bytesOf(file);
  const after = edit(before);

  test("our option fields become what is wanted", () => {
    const fstab = parseFstab(after);
    expect(findEntry(fstab, points.models)?.options).toBe(file.models as string);
    expect(findEntry(fstab, points.backup)?.options).toBe(file.backup as string);
    if (file.settled === true) expect(Buffer.compare(after, before)).toBe(0);
  });

  test("every other byte is kept", () => {
    const noField = parseFstab(before).entries.some(
      (entry) => entry.options === undefined && Object.values(points).includes(entry.mountpoint),
    );
    if (noField) {
      const compact = (text: string) => text.replace(/[ \t]+/g, "");
      expect(compact(withoutOptions(after))).toBe(compact(parseFstab(before).text));
    } else {
      expect(withoutOptions(after)).toBe(withoutOptions(before));
    }
  });

  test("a second turn changes no byte", () => {
    expect(Buffer.compare(edit(after), after)).toBe(0);
  });
});

const refused = corpus.filter((file) => file.refused !== undefined);

test.each(refused.map((file) => [file.name, file] as const))("refuses: %s", (_name, file) => {
  let code: unknown;
  try {
    edit(bytesOf(file));
  } catch (thrown) {
    code = (thrown as { code: string }).code;
  }
  expect(code).toBe(file.refused as string);
});

test("the corpus is as large as promised", () => {
  expect(corpus.length).toBeGreaterThanOrEqual(30);
});

describe("addEntries", () => {
  const models = {
    source: "UUID=1111-a",
    mountpoint: "/mnt/citadel-models",
    fstype: "ext4",
    options: "defaults,noatime",
    pass: 2,
  } as const;
  const backup = { ...models, source: "UUID=2222-b", mountpoint: "/mnt/my backup#1" };

  test("makes one marked block at the end and keeps what was there", () => {
    const text = Buffer.from("# only a comment, no newline");
    const added = Buffer.from(addEntries(text, [models])).toString();
    expect(added).toBe(
      "# only a comment, no newline\n# BEGIN citadel-agent: entries added by `tune apply`\nUUID=1111-a\t/mnt/citadel-models\text4\tdefaults,noatime\t0\t2\n# END citadel-agent\n",
    );
    expect(findEntry(parseFstab(Buffer.from(added)), models.mountpoint)?.fstype).toBe("ext4");
  });

  test("adds to the block that is there, escapes blanks, and the entry is found again", () => {
    const once = addEntries(Buffer.from("a /a ext4 defaults 0 0\n"), [models]);
    const twice = addEntries(once, [backup]);
    const text = Buffer.from(twice).toString();
    expect(text.match(/BEGIN citadel-agent/g)).toHaveLength(1);
    expect(text).toContain("UUID=2222-b\t/mnt/my\\040backup\\0431\text4");
    expect(findEntry(parseFstab(twice), "/mnt/my backup#1")?.source).toBe("UUID=2222-b");
    expect(text.endsWith("# END citadel-agent\n")).toBe(true);
  });

  test("keeps to CRLF in a CRLF file", () => {
    const text = Buffer.from(addEntries(Buffer.from("# a\r\n"), [models])).toString();
    expect(text.replaceAll("\r\n", "")).not.toContain("\n");
  });

  test.each([
    "# BEGIN citadel-agent\n",
    "# END citadel-agent\n",
    "# END citadel-agent\n# BEGIN citadel-agent\n",
  ])("refuses a damaged block: %j", (text) =>
    expect(() => addEntries(Buffer.from(text), [models])).toThrow("damaged"),
  );
});

test("findEntryHolding takes the longest mount point that holds the path, never /", () => {
  const fstab = parseFstab(
    Buffer.from("a / ext4\nb /mnt ext4\nc /mnt/data ext4\nd /mnt/dat ext4\n"),
  );
  expect(findEntryHolding(fstab, "/mnt/data/citadel")).toBe("/mnt/data");
  expect(findEntryHolding(fstab, "/mnt/datalake")).toBe("/mnt");
  expect(findEntryHolding(fstab, "/srv")).toBeUndefined();
});
