import { expect, test } from "bun:test";
import {
  type ManifestEntry,
  type SnapshotRecord,
  displayPath,
  formatManifestLine,
  formatSnapshotId,
  formatSnapshotJson,
  formatSumsLine,
  fromBytes,
  fromText,
  isSafePath,
  jsonPath,
  parseManifest,
  parseManifestLine,
  parsePartialName,
  parseSnapshotId,
  parseSnapshotJson,
  parseSumsLine,
  slugOf,
} from "../../../src/backup/format/index.ts";

const base = { mode: 0o644, uid: 0, gid: 0, mtimeNs: 1n };
const sha = "a".repeat(64);
const hash = "0123456789abcdef";

const entries: ManifestEntry[] = [
  { ...base, path: fromText("."), type: "directory", mode: 0o755 },
  { ...base, path: fromText("a"), type: "directory", mode: 0o1777, user: "root", group: "root" },
  { ...base, path: fromText("a-b"), type: "directory" },
  { ...base, path: fromText("a-b/x"), type: "file", size: 1, sha256: sha, xxh3: [hash] },
  {
    ...base,
    path: fromText("a/ü\n\\"),
    type: "file",
    size: 17 * 1024 * 1024,
    sha256: sha,
    xxh3: [hash, hash],
    holes: [[0, 4096]],
    hardlink: fromText("a-b/x"),
    xattrs: new Map([["user.k", new Uint8Array([0, 255])]]),
    digests: { md5: "b".repeat(32) },
    packed: { method: "zstd", size: 9, sha256: sha, xxh3: [hash] },
    mtimeNs: 1767322800123456789n,
    ino: 12345678901234567890n,
    ctimeNs: -5n,
  },
  {
    ...base,
    path: fromBytes(Buffer.from([0x62, 0xff])),
    type: "symlink",
    target: fromBytes(Buffer.from([0xfe])),
  },
  { ...base, path: fromText("c"), type: "block", major: 8, minor: 1 },
  { ...base, path: fromText("d"), type: "fifo" },
];

const parse = (text: string, blockSize = 7) => {
  const bytes = Buffer.from(text);
  const blocks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += blockSize)
    blocks.push(bytes.subarray(at, at + blockSize));
  return [...parseManifest(blocks)];
};

test("a manifest comes back as it was written, in blocks of any size", () => {
  const text = entries.map(formatManifestLine).join("");
  for (const size of [1, 7, 4096]) {
    const back = parse(text, size);
    expect(back.map(formatManifestLine).join("")).toBe(text);
    expect(back[4]).toMatchObject(entries[4] as object);
  }
  expect(text).toContain('"path_b64":"Yv8="');
  expect(text).toContain('"mode":"1777"');
});

const line = (fields: object) =>
  JSON.stringify({
    path: "x",
    type: "fifo",
    mode: "0644",
    uid: 0,
    gid: 0,
    mtime_ns: "0",
    ...fields,
  });

test("a hostile manifest is refused before anything is done with it", () => {
  expect(parseManifestLine(line({}), 1).path).toBe(fromText("x"));
  const hostile: object[] = [
    { path: ".." },
    { path: "../x" },
    { path: "/etc/passwd" },
    { path: "a//b" },
    { path: "a/./b" },
    { path: "a/../../b" },
    { path: "" },
    { path: "a\0b" },
    { path: undefined, path_b64: Buffer.from("../x").toString("base64") },
    { path: undefined, path_b64: "!" },
    { path: "n".repeat(256) },
    { mode: "99999" },
    { mode: 420 },
    { uid: -1 },
    { uid: 1.5 },
    { mtime_ns: 5 },
    { type: "door" },
    { type: "symlink", target: "" },
    { type: "file", size: 1, sha256: sha, xxh3: [] },
    { type: "file", size: 1, sha256: sha.toUpperCase(), xxh3: [hash] },
    { type: "file", size: 1, sha256: sha, xxh3: [hash], hardlink: "../../etc/shadow" },
    { type: "file", size: 1, sha256: sha, xxh3: [hash], holes: [[0, 2]] },
    {
      type: "file",
      size: 1,
      sha256: sha,
      xxh3: [hash],
      packed: { method: "toString", size: 0, sha256: sha, xxh3: [] },
    },
    { type: "file", size: 2 ** 60, sha256: sha, xxh3: [hash] },
  ];
  for (const fields of hostile) {
    expect(() => parseManifestLine(line(fields), 7), JSON.stringify(fields)).toThrow(
      /manifest line 7/,
    );
  }
});

test("a link or a file is never taken for a parent, nor an order that is not that of bytes", () => {
  const dir = { type: "directory", path: "a" };
  const wrong = [
    [line({ path: "a", type: "symlink", target: "/etc" }), line({ path: "a/b" })],
    [line({ path: "a" }), line({ path: "a/b" })],
    [line({ path: "a/b" })],
    [line({ path: "b" }), line({ path: "a" })],
    [line({ path: "a" }), line({ path: "a" })],
    [line({ path: "." })],
  ];
  for (const lines of wrong) {
    expect(() => parse(`${lines.join("\n")}\n`)).toThrow(/manifest line/);
  }
  expect(
    parse(`${[line(dir), line({ path: "a b" }), line({ path: "a/b" })].join("\n")}\n`),
  ).toHaveLength(3);
  expect(() => parse(line({}))).toThrow("does not end");
});

test("checksum lines are those of coreutils, for every name", () => {
  const names = [
    "plain",
    " lead",
    "-dash",
    "back\\slash",
    "new\nline",
    "car\rriage",
    "\\",
    "both\\n\n",
  ];
  for (const name of [...names.map(fromText), fromBytes(Buffer.from([0xff, 0x0a]))]) {
    const text = formatSumsLine(sha, name);
    expect(parseSumsLine(text.slice(0, -1))).toEqual({ digest: sha, path: name });
    const run = Bun.spawnSync(["sha256sum", "-c", "-"], {
      stdin: Buffer.from(text, "latin1"),
      cwd: "/",
    });
    expect(run.stderr.toString()).not.toContain("no properly formatted");
  }
  expect(() => parseSumsLine("zz  x")).toThrow();
  expect(() => parseSumsLine(`\\${sha}  a\\qb`)).toThrow();
});

test("ids carry time, source and kind, and nothing else parses as one", () => {
  const atMs = Date.UTC(2026, 0, 2, 3, 4, 5, 123);
  const id = formatSnapshotId(atMs, slugOf("/mnt/citadel-models/active"), "incremental", 0x1a2);
  expect(id).toBe("20260102T030405.123Z-mnt-citadel-models-active-incr-01a2");
  expect(parseSnapshotId(id)).toEqual({
    id,
    startedMs: atMs,
    slug: "mnt-citadel-models-active",
    kind: "incremental",
  });
  expect(parsePartialName(`${id}.partial`)?.id).toBe(id);
  for (const name of [
    "latest",
    `${id}.partial`,
    `${id}/`,
    "20261302T030405.123Z-a-full-0000",
    `${id}0`,
    "../x",
  ]) {
    expect(parseSnapshotId(name)).toBeUndefined();
  }
  expect([slugOf("/"), slugOf("/Ä_b//c-"), slugOf("x".repeat(200)).length]).toEqual([
    "root",
    "b-c",
    80,
  ]);
});

test("names that are not UTF-8 are shown with U+FFFD and carried in base64", () => {
  const path = fromBytes(Buffer.from([0x61, 0xff]));
  expect(displayPath(path)).toBe("a\ufffd");
  expect(jsonPath(path)).toEqual({ path: "a\ufffd", path_b64: "Yf8=" });
  expect(jsonPath(fromText("ü"))).toEqual({ path: "ü" });
  expect(isSafePath("a/..b/...")).toBe(true);
});

const record: SnapshotRecord = {
  format: 1,
  id: "20260102T030405.123Z-a-full-0000",
  host: "h",
  source: "/ü",
  source_identity: "1:2",
  type: "full",
  area: "models",
  tags: ["daily"],
  parent: null,
  started: "2026-01-02T03:04:05.123Z",
  finished: "2026-01-02T03:04:06.123Z",
  counts: {
    entries: 1,
    files: 0,
    directories: 1,
    symlinks: 0,
    others: 0,
    bytes: 0,
    new_bytes: 0,
    stored_bytes: 0,
    linked_files: 0,
    packed_files: 0,
    skipped: 0,
    outside_links: 0,
  },
  skipped: [],
  shrunk: false,
  plain: true,
  compression: null,
  chunk_size: 16777216,
  checksums: ["sha256"],
  manifest_sha256: sha,
  manifest_bytes: 5,
  sums_sha256: { SHA256SUMS: sha },
  settings: { verify: true },
  tool: { name: "citadel-agent", version: "0.1.0", commit: "c" },
};

test("snapshot.json comes back as written, and every single flipped bit is seen", () => {
  const bytes = Buffer.from(formatSnapshotJson(record));
  expect(parseSnapshotJson(bytes)).toEqual(record);
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const at = bit >> 3;
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
    expect(() => parseSnapshotJson(bytes)).toThrow();
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
  }
});

test("a later format is said to be one, not called damaged", () => {
  const later = formatSnapshotJson({ ...record, format: 2 as 1 });
  expect(() => parseSnapshotJson(Buffer.from(later))).toThrow("format 2");
});

test("a stranger can recompute self_sha256 with sed and sha256sum", () => {
  const text = formatSnapshotJson(record);
  const script = `sed 's/"self_sha256": "[0-9a-f]*"/"self_sha256": "${"0".repeat(64)}"/' | sha256sum`;
  const run = Bun.spawnSync(["sh", "-c", script], { stdin: Buffer.from(text) });
  expect(text).toContain(run.stdout.toString().slice(0, 64));
});
