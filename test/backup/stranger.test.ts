// docs/formats/snapshot.md tried by a stranger: the agent makes snapshots of a tree with all that is awkward; the two
// scripts of the page, taken from it word by word, check and restore them with bash, coreutils, jq and the packers.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { runCli } from "../support/run-cli.ts";
import { treeFacts, treeXattrs } from "../support/exact-tree.ts";

const tools = ["bash", "jq", "sha256sum", "comm", "zstd", "gzip", "lz4"];
const missing = tools.filter((tool) => Bun.which(tool) === null);
if (missing.length > 0) console.log(`skipped: no ${missing.join(", ")}`);
const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.log("owners and devices are not tried: not root");

const page = fs.readFileSync(new URL("../../docs/formats/snapshot.md", import.meta.url), "utf8");
const guide = fs.readFileSync(new URL("../../docs/guides/backup.md", import.meta.url), "utf8");

/** The only shell block of a section of a page. */
function blockOf(section: string, of = page): string {
  const start = of.search(new RegExp(`^#+ ${section}$`, "m"));
  const end = of.indexOf("\n##", start + 1);
  const text = of.slice(start, end === -1 ? undefined : end);
  const blocks = [...text.matchAll(/^```(?:bash|sh)\n(.*?)^```$/gms)].map(([, code]) => code ?? "");
  expect({ section, blocks: blocks.length }).toEqual({ section, blocks: 1 });
  return blocks[0] ?? "";
}

let root: string;
let source: string;
let snapshot: string;

/** Runs one of the page's scripts as a file, with nothing but what the page asks for. */
function script(section: string, ...words: string[]): { exitCode: number | null; text: string } {
  const file = `${root}/${section.replaceAll(" ", "-")}.sh`;
  fs.writeFileSync(file, blockOf(section));
  const run = Bun.spawnSync(["bash", file, ...words], {
    cwd: root,
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: `${root}/tools` },
  });
  return { exitCode: run.exitCode, text: run.stdout.toString() + run.stderr.toString() };
}
const check = (directory: string) => script("Checking one by hand", directory);
const restore = (directory: string, target: string) =>
  script("Restoring one by hand", directory, target);

/** What the page says it needs, and no more: a script that wants sed or find fails here. */
const coreutils =
  "base64 cat chmod chown comm cp dd mkdir mkfifo mknod mktemp readlink realpath rm sha256sum sort stat tac touch tr truncate wc ln";
function installTools(): void {
  fs.mkdirSync(`${root}/tools`);
  const wanted = [...coreutils.split(" "), "bash", "jq", "zstd", "gzip", "lz4", "setfattr"];
  for (const name of wanted) {
    const path = Bun.which(name);
    if (path !== null) fs.symlinkSync(path, `${root}/tools/${name}`);
  }
}

const bytes = (name: string) =>
  Buffer.concat([Buffer.from(`${source}/`), Buffer.from(name, "latin1")]);
const text = (seed: number, count: number) =>
  JSON.stringify(Array.from({ length: count }, (_, at) => (at % 100) * seed));
const noise = (length: number) => crypto.getRandomValues(new Uint8Array(length));

/** Names as bytes (latin1): what shells, JSON and lists of sums stumble over. */
const oddNames = [
  "tab\there.txt",
  "back\\slash\\n",
  "new\nline.txt",
  "ends with newline\n",
  " blank first",
  "-rf",
  "--",
  "=",
  "@x",
  "*",
  "%41 $(touch pwned) `x` 'q' \"d\" ;&|",
  "~",
  "!first by bytes",
  "\xff\xfe not utf-8",
  "\xc3\xbc is utf-8",
  "carriage\rreturn",
  "\x01\x1b[31m",
  "].[*]",
];

/** Makes the tree in three stages; each is followed by a run with another packing. */
const stages: readonly (() => void)[] = [
  () => {
    fs.mkdirSync(`${source}/packed`, { recursive: true });
    for (const name of oddNames) fs.writeFileSync(bytes(name), text(3, 4000) + name);
    const weights = noise(70_000);
    for (const [name, year] of [
      ["a", 2001],
      ["b", 2020],
    ] as const) {
      fs.mkdirSync(`${source}/${name}`);
      fs.writeFileSync(`${source}/${name}/model.safetensors`, weights);
      fs.utimesSync(`${source}/${name}/model.safetensors`, 0, new Date(`${year}-05-06T07:08:09Z`));
    }
    fs.writeFileSync(`${source}/packed/first`, text(5, 5000));
    fs.writeFileSync(`${source}/packed/zeros and text`, zerosAndText());
  },
  () => {
    fs.mkdirSync(bytes("dir \xfe\n\\"));
    for (const name of oddNames)
      fs.writeFileSync(bytes(`dir \xfe\n\\/${name}`), text(7, 4000) + name);
    fs.writeFileSync(`${source}/packed/by gzip`, text(17, 5000));
    fs.writeFileSync(`${source}/packed/second`, text(5, 5000)); // the content of the first
    fs.writeFileSync(`${source}/packed/sparse, the same`, "");
    fs.truncateSync(`${source}/packed/sparse, the same`, 1 << 20);
    writeAt(`${source}/packed/sparse, the same`, text(11, 9000), 512 * 1024);
  },
  () => {
    fs.writeFileSync(`${source}/packed/third`, text(13, 5000));
    fs.linkSync(`${source}/packed/third`, bytes("packed/third \xff\n"));
    fs.linkSync(`${source}/packed/third`, `${source}/twin of third`);
    fs.linkSync(`${source}/a/model.safetensors`, `${source}/a/twin`);
    fs.linkSync(`${source}/a/model.safetensors`, `${source}/twin of a`);
    fs.symlinkSync("../a/model.safetensors", `${source}/b/link`);
    fs.symlinkSync(Buffer.from("nowhere \xff\n\\\t", "latin1"), bytes("b/odd \xff link"));
    fs.writeFileSync(`${source}/empty`, "");
    fs.mkdirSync(`${source}/empty directory`);
    fs.writeFileSync(`${source}/sparse`, "");
    fs.truncateSync(`${source}/sparse`, 3 << 20);
    writeAt(`${source}/sparse`, "middle", 1 << 20);
    fs.writeFileSync(`${source}/only a hole`, "");
    fs.truncateSync(`${source}/only a hole`, 1 << 20);
    Bun.spawnSync(["mkfifo", "-m", "620", `${source}/fifo`]);
    if (isRoot) {
      Bun.spawnSync(["mknod", `${source}/null`, "c", "1", "3"]);
      fs.chownSync(`${source}/packed/third`, 1234, 2345);
      fs.lchownSync(bytes("b/odd \xff link"), 77, 88);
      fs.chownSync(`${source}/b`, 55, 66);
    }
    setXattrs();
    fs.chmodSync(`${source}/packed/first`, 0o4751);
    fs.chmodSync(`${source}/empty`, 0o400);
    fs.chmodSync(`${source}/b`, 0o2750);
    fs.chmodSync(`${source}/empty directory`, 0o1777);
    if (isRoot) fs.chmodSync(`${source}/packed`, 0o500);
    setTimes();
  },
];

function writeAt(path: string, content: string, at: number): void {
  const fd = fs.openSync(path, "r+");
  fs.writeSync(fd, content, at);
  fs.closeSync(fd);
}

/** The content of a sparse file, without a hole. */
function zerosAndText(): Buffer {
  const content = Buffer.alloc(1 << 20);
  content.write(text(11, 9000), 512 * 1024);
  return content;
}

function setXattrs(): void {
  for (const path of ["packed/first", "sparse", "b", "twin of third", "empty"]) {
    for (const [name, value] of [
      ["user.text", "a value"],
      ["user.empty", ""],
      ["user.ü =:,", "0s/wD+"],
    ] as const) {
      Bun.spawnSync(["setfattr", "-n", name, "-v", value, `${source}/${path}`]);
    }
  }
}

/** Before 1970, parts of a second, and directories last. */
function setTimes(): void {
  for (const [time, name] of [
    ["@-1.500000000", "empty"],
    ["@-0.000000001", "packed/first"],
    ["@0.500000000", "packed/third"],
    ["@0", "fifo"],
    ["@1600000000.123456789", "b/link"],
    ["@1600000000.000000001", "empty directory"],
    ["@-86400.25", "b"],
    ["@1700000000.999999999", "packed"],
    ["@1500000000", ""],
  ]) {
    Bun.spawnSync(["touch", "-h", "-d", time ?? "", `${source}/${name}`]);
  }
}

beforeAll(async () => {
  if (missing.length > 0) return;
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/stranger-`));
  source = `${root}/mnt/citadel-models/active`;
  fs.mkdirSync(source, { recursive: true });
  fs.mkdirSync(`${root}/mnt/citadel-backup`);
  installTools();
  for (const [at, method] of ["lz4", "gzip", "zstd"].entries()) {
    stages[at]?.();
    const env = { BACKUP_COMPRESSION_ALGORITHM: method };
    const made = await runCli(["--root", root, "backup", "create", "--json"], { env });
    expect({ method, stderr: made.stderr, exitCode: made.exitCode }).toMatchObject({ exitCode: 0 });
    snapshot = made.json<{ directory: string }>().directory;
  }
}, 120_000);
afterAll(() => {
  if (root !== undefined) fs.rmSync(root, { recursive: true, force: true });
});

interface Line {
  readonly path?: string;
  readonly hardlink?: string;
  readonly hardlink_b64?: string;
  readonly holes?: unknown;
  readonly packed?: { readonly method: string };
  readonly xattrs?: unknown;
}
const manifest = (): Line[] =>
  fs
    .readFileSync(`${snapshot}/manifest.jsonl`, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

describe.skipIf(missing.length > 0)("docs/formats/snapshot.md in a stranger's hands", () => {
  test("the snapshot has what makes it hard: mixed packing, content shared in storage only, packed holes", () => {
    const lines = manifest();
    expect(new Set(lines.map(({ packed }) => packed?.method))).toEqual(
      new Set([undefined, "lz4", "gzip", "zstd"]),
    );
    const record = JSON.parse(fs.readFileSync(`${snapshot}/snapshot.json`, "utf8")) as object;
    expect(record).toMatchObject({ compression: "zstd", plain: false });
    const inode = (name: string) => fs.statSync(`${snapshot}/data/${name}/model.safetensors`).ino;
    expect(inode("a")).toBe(inode("b"));
    const isPackedHole = ({ holes, packed }: Line) => holes !== undefined && packed !== undefined;
    expect(lines.filter(isPackedHole).map(({ path }) => path)).toEqual(["packed/sparse, the same"]);
    expect(lines.some(({ hardlink_b64, hardlink }) => hardlink_b64 ?? hardlink)).toBe(true);
  });

  test("everything comes back as it was at the source", () => {
    const target = `${root}/by hand`;
    const run = restore(snapshot, target);
    expect(run).toMatchObject({
      exitCode: 0,
      text: expect.stringMatching(/^restored and compared: \d+ entries in /),
    });
    expect(treeFacts(target)).toEqual(treeFacts(source));
    expect(treeXattrs(target)).toEqual(treeXattrs(source));
    const shared = `${target}/a/model.safetensors`;
    fs.appendFileSync(shared, "x");
    expect(fs.readFileSync(`${target}/b/model.safetensors`)).toEqual(
      fs.readFileSync(`${source}/b/model.safetensors`),
    );
  });

  test("the check passes a sound snapshot, and sees damage, loss and additions wherever they are", () => {
    const sound = { exitCode: 0, text: expect.stringMatching(/^sound: /) };
    expect(check(snapshot)).toEqual(sound);
    for (const name of [
      "data/a/model.safetensors",
      "packed/packed/by gzip.gz",
      "manifest.jsonl",
      "SHA256SUMS",
      "SHA256SUMS.packed",
      "snapshot.json",
    ]) {
      const restoreIt = flipMiddle(`${snapshot}/${name}`);
      const found = check(snapshot);
      restoreIt();
      expect({ name, exitCode: found.exitCode }).toEqual({ name, exitCode: 1 });
    }
    const extra = ["data/extra\n", "data/empty directory/\xff", "packed/extra.zst"];
    const places = extra.map((name) => Buffer.from(`${snapshot}/${name}`, "latin1"));
    for (const place of places) fs.writeFileSync(place, "");
    fs.renameSync(`${snapshot}/data/b/link`, `${root}/link`);
    const found = check(snapshot);
    fs.renameSync(`${root}/link`, `${snapshot}/data/b/link`);
    for (const place of places) fs.rmSync(place);
    expect(found.exitCode).toBe(1);
    expect(found.text.split("\n")).toEqual([
      "WRONG: missing (left), or extra (indented): data/b/link",
      "\tdata/empty directory/\ufffd",
      "\tdata/extra",
      "",
      "\tpacked/extra.zst",
      "",
    ]);
    expect(check(snapshot)).toEqual(sound);
  });

  test("the guide's two lists see damage of plain and of packed files", () => {
    const commands = blockOf("No citadel-agent at hand", guide);
    expect(commands).toStartWith("cd /mnt/citadel-backup/models/ID\n");
    const code = commands.replace(/^cd .*$/m, `set -e; cd ${snapshot}`);
    const lists = () => Bun.spawnSync(["bash", "-c", code], { stderr: "pipe", stdout: "pipe" });
    expect(lists().exitCode).toBe(0);
    for (const name of ["data/a/model.safetensors", "packed/packed/by gzip.gz"]) {
      const restoreIt = flipMiddle(`${snapshot}/${name}`);
      const found = lists();
      restoreIt();
      expect(found.exitCode).toBe(1);
      expect(found.stdout.toString()).toContain(`${name.slice(name.indexOf("/") + 1)}: FAILED`);
    }
  });

  test("the restore names each file that did not come back as it was, and ends with 1", () => {
    const target = `${root}/from damage`;
    const restoreIt = flipMiddle(`${snapshot}/data/a/model.safetensors`);
    const run = restore(snapshot, target);
    restoreIt();
    expect({ ...run, text: run.text.split("\n") }).toEqual({
      exitCode: 1,
      text: [
        "PROBLEM: a/model.safetensors: its content differs",
        "PROBLEM: a/twin: its content differs",
        "PROBLEM: b/model.safetensors: its content differs", // it shares the damaged bytes
        "PROBLEM: twin\\ of\\ a: its content differs",
        "NOT AS IT WAS: 4 problems",
        "",
      ],
    });
    fs.rmSync(target, { recursive: true });
  });

  test("without setfattr it says what lacks extended attributes, and restores the rest", () => {
    if (treeXattrs(source)?.length === 0)
      return console.log("skipped: no extended attributes here");
    const target = `${root}/without attributes`;
    const kept = fs.readlinkSync(`${root}/tools/setfattr`);
    fs.rmSync(`${root}/tools/setfattr`);
    const run = restore(snapshot, target);
    fs.symlinkSync(kept, `${root}/tools/setfattr`);
    const need = "its extended attributes need setfattr";
    const lacking = ["packed/first", "packed/third", "sparse", "b"]; // `empty` has them from cp
    expect({ ...run, text: run.text.split("\n") }).toEqual({
      exitCode: 1,
      text: [
        ...lacking.map((name) => `PROBLEM: ${name}: ${need}`),
        `NOT AS IT WAS: ${lacking.length} problems`,
        "",
      ],
    });
    expect(treeFacts(target)).toEqual(treeFacts(source));
    fs.rmSync(target, { recursive: true });
  });

  test("a target that is there is refused", () => {
    const before = treeFacts(source);
    expect(restore(snapshot, source)).toMatchObject({
      exitCode: 1,
      text: expect.stringMatching(/File exists/),
    });
    expect(treeFacts(source)).toEqual(before);
  });

  test("what is no snapshot leaves no target behind", () => {
    expect(restore(`${root}/tools`, `${root}/nothing`).exitCode).toBe(1);
    expect(fs.existsSync(`${root}/nothing`)).toBe(false);
    expect(check(`${root}/tools`).exitCode).toBe(1);
  });

  test("a manifest made to do harm writes nothing beside the target", () => {
    const hostile = `${root}/hostile`;
    fs.mkdirSync(`${hostile}/data/real`, { recursive: true });
    fs.mkdirSync(`${root}/victim/sub`, { recursive: true });
    fs.writeFileSync(`${root}/victim/kept`, "kept", { mode: 0o600 });
    fs.writeFileSync(`${hostile}/data/kept`, "evil");
    fs.symlinkSync(`${root}/victim/kept`, `${hostile}/data/really a link`);
    const base = { mode: "0777", uid: 0, gid: 0, mtime_ns: "0", sha256: "0".repeat(64), size: 4 };
    const lines = [
      { ...base, path: ".", type: "directory" },
      { ...base, path: "../victim/new", type: "file" },
      { ...base, path: "/etc/evil", type: "file" },
      { ...base, path: "a", type: "symlink", target: `${root}/victim` },
      { ...base, path: "a/kept", type: "file" },
      { ...base, path: "a/made", type: "directory" },
      { ...base, path: "a/pipe", type: "fifo" },
      { ...base, path: "a/sub", type: "directory" },
      { ...base, path: "b", type: "file", hardlink: "../victim/kept" },
      { ...base, path: "really a link", type: "file" },
    ];
    fs.writeFileSync(
      `${hostile}/manifest.jsonl`,
      lines.map((line) => `${JSON.stringify(line)}\n`).join(""),
    );
    const before = treeFacts(`${root}/victim`);
    expect(restore(hostile, `${root}/harmed`)).toMatchObject({
      exitCode: 1,
      text: expect.stringMatching(/refused/),
    });
    expect(treeFacts(`${root}/victim`)).toEqual(before);
    expect(fs.readdirSync(`${root}/harmed`)).toEqual(["a"]);
    expect(fs.existsSync("/etc/evil")).toBe(false);
  });
});

/** Changes one bit in the middle of a file. @returns what takes it back, times included */
function flipMiddle(path: string): () => void {
  const { atime, mtime } = fs.statSync(path);
  const sound = fs.readFileSync(path);
  const changed = Buffer.from(sound);
  const at = Math.floor(changed.length / 2);
  changed[at] = (changed[at] ?? 0) ^ 1;
  fs.writeFileSync(path, changed);
  return () => {
    fs.writeFileSync(path, sound);
    fs.utimesSync(path, atime, mtime);
  };
}
