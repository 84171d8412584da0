import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { absolutePath, CitadelError, joinPath, type AbsolutePath } from "../../src/core/index.ts";
import { readXattrs, statExact } from "../../src/system/native.ts";
import { setAttributesOfNew } from "../../src/system/raw-file.ts";
import { DirectoryTree } from "../../src/system/directory-tree.ts";

let base: AbsolutePath;
let tree: DirectoryTree;
beforeEach(() => {
  base = absolutePath(fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/citadel-tree-`)));
  fs.mkdirSync(`${base}/a/b`, { recursive: true });
  tree = new DirectoryTree(base, 4);
});
afterEach(() => {
  tree[Symbol.dispose]();
  fs.rmSync(base, { recursive: true, force: true });
});

const at = (...parts: string[]) => joinPath(base, ...parts);

function caught(call: () => unknown): CitadelError {
  try {
    call();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(CitadelError);
    return thrown as CitadelError;
  }
  throw new Error("nothing was thrown");
}

describe("DirectoryTree", () => {
  test("names the part of a path that is a symbolic link", () => {
    fs.symlinkSync("a", at("link"));
    const error = caught(() => tree.open(at("link/b")));
    expect([error.code, error.path]).toEqual(["SYMLINK_IN_PATH", at("link")]);
    fs.symlinkSync("b", at("a/last"));
    expect(caught(() => tree.open(at("a/last"))).path).toBe(at("a/last"));
  });

  test("tells a file and nothing from a link", () => {
    fs.writeFileSync(at("file"), "");
    expect(caught(() => tree.open(at("file/x"))).code).toBe("NOT_A_DIRECTORY");
    expect(caught(() => tree.open(at("none/x"))).code).toBe("NOT_FOUND");
    expect(tree.tryOpen(at("none"))).toBeUndefined();
    expect(tree.tryOpen(at("file"))).toBeUndefined();
  });

  test("refuses what does not lie below the base", () => {
    expect(caught(() => tree.open(absolutePath("/etc"))).code).toBe("PATH_OUTSIDE_ROOT");
    expect(caught(() => tree.open(`${base}2` as AbsolutePath)).code).toBe("PATH_OUTSIDE_ROOT");
  });

  test("keeps a bounded number of descriptors and flushes what it closes", () => {
    const count = () => fs.readdirSync("/proc/self/fd").length;
    const before = count();
    for (let n = 0; n < 20; n += 1) {
      fs.mkdirSync(at(`d${n}`));
      tree.open(at(`d${n}`)).symlink("/x", "link");
    }
    expect(count() - before).toBeLessThanOrEqual(4);
    expect(fs.readlinkSync(at("d0/link"))).toBe("/x");
  });

  test("a handle goes on to mean the directory it was opened on", () => {
    const handle = tree.open(at("a"));
    fs.renameSync(at("a"), at("moved"));
    fs.mkdirSync(at("victim"));
    fs.symlinkSync("victim", at("a"));
    handle.symlink("/x", "link");
    expect(fs.readdirSync(at("victim"))).toEqual([]);
    expect(fs.readlinkSync(at("moved/link"))).toBe("/x");
  });
});

describe("DirectoryHandle", () => {
  test("makes directories and files with exactly the mode asked for, whatever the umask", () => {
    const former = process.umask(0o077);
    try {
      tree.open(base).mkdir("dir", { mode: 0o2775 });
      tree.open(base).createFile("file", "x", { mode: 0o666 });
    } finally {
      process.umask(former);
    }
    expect(fs.statSync(at("dir")).mode & 0o7777).toBe(0o2775);
    expect(fs.statSync(at("file")).mode & 0o7777).toBe(0o666);
  });

  test("never writes through a link and never over a file", () => {
    fs.symlinkSync(at("victim"), at("link"));
    const create = (name: string) => tree.open(base).createFile(name, "x", { mode: 0o644 });
    expect(caught(() => create("link")).code).toBe("ALREADY_EXISTS");
    fs.writeFileSync(at("file"), "old");
    expect(caught(() => create("file")).code).toBe("ALREADY_EXISTS");
    expect(fs.existsSync(at("victim"))).toBe(false);
  });

  test("does not change the mode of what a link names, nor of a file with two names", () => {
    fs.writeFileSync(at("file"), "", { mode: 0o600 });
    fs.symlinkSync("file", at("link"));
    expect(caught(() => tree.open(base).change("link", { mode: 0o777 })).code).toBe("HOST_CHANGED");
    fs.linkSync(at("file"), at("second"));
    expect(caught(() => tree.open(base).change("file", { mode: 0o777 })).code).toBe("HARD_LINKED");
    expect(fs.statSync(at("file")).mode & 0o777).toBe(0o600);
  });

  test.each(["exchange", "no-replace"] as const)("%s leaves both entries whole", (how) => {
    fs.symlinkSync("/x", at("link"));
    const handle = tree.open(base);
    if (how === "no-replace") {
      expect(caught(() => handle.renameNoReplace("a", "link")).code).toBe("ALREADY_EXISTS");
      expect(fs.readlinkSync(at("link"))).toBe("/x");
      handle.renameNoReplace("a", "free");
      expect(fs.existsSync(at("free/b"))).toBe(true);
    } else if (handle.exchange("a", "link")) {
      expect(fs.readlinkSync(at("a"))).toBe("/x");
      expect(fs.existsSync(at("link/b"))).toBe(true);
    } else console.log("skipped: no renameat2 here");
  });

  test("works on names that are not UTF-8, and refuses a link target that is not", () => {
    const name = Buffer.from([0x66, 0xff, 0xfe]);
    const handle = tree.open(base);
    handle.symlink("/x", name);
    expect(handle.lstat(name)?.type).toBe("link");
    expect(handle.list().some((entry) => entry.equals(name))).toBe(true);
    handle.symlink(Buffer.from([0x2f, 0xff]), "odd");
    expect(caught(() => handle.readlink("odd")).code).toBe("NAME_NOT_UTF8");
  });

  test("names call and path when the system says no", () => {
    const error = caught(() => tree.open(base).rmdir("a"));
    expect([error.code, error.operation, error.path]).toEqual(["NOT_EMPTY", "rmdir", at("a")]);
    expect(error.message).toContain(`rmdir failed on ${at("a")}`);
  });
});

test("lchown gives a link away through its descriptor", () => {
  const directory = tree.open(at("a"));
  fs.symlinkSync("nowhere", at("a", "link"));
  const { uid, gid } = fs.lstatSync(at("a", "link"));
  const wanted = uid === 0 ? 12_345 : uid;
  directory.lchown("link", wanted, gid);
  expect(fs.lstatSync(at("a", "link")).uid).toBe(wanted);
});

test.each(["file", "directory", "linked link"])(
  "lchown leaves a %s alone that took the place of the link",
  (what) => {
    const directory = tree.open(at("a"));
    if (what === "file") fs.writeFileSync(at("a", "link"), "root's");
    if (what === "directory") fs.mkdirSync(at("a", "link"));
    if (what === "linked link") {
      fs.symlinkSync("nowhere", at("a", "other"));
      fs.linkSync(at("a", "other"), at("a", "link"));
    }
    const before = fs.lstatSync(at("a", "link"));
    const error = caught(() => directory.lchown("link", before.uid + 1, before.gid));
    expect(error.code).toBe("HOST_CHANGED");
    expect(fs.lstatSync(at("a", "link")).uid).toBe(before.uid);
  },
);

test("setAttributesOfNew changes a new link or FIFO of ours and nothing that took its place", () => {
  const isRoot = process.geteuid?.() === 0;
  const xattrs = new Map(isRoot ? [["trusted.mark", Buffer.from("of the link")]] : []);
  const give = (name: string, uid = fs.lstatSync(at("a", name)).uid) =>
    setAttributesOfNew(at("a", name), {
      mode: 0o666,
      uid: isRoot ? 12_345 : uid,
      gid: 0,
      mtimeNs: 1_111_111_111_123_456_789n,
      xattrs,
    });
  fs.symlinkSync("nowhere", at("a", "link"));
  Bun.spawnSync(["mkfifo", at("a", "fifo")]);
  for (const name of ["link", "fifo"]) {
    give(name);
    const { uid, mtimeNs } = statExact(at("a", name));
    expect(mtimeNs).toBe(1_111_111_111_123_456_789n);
    if (!isRoot) continue;
    expect(uid).toBe(12_345);
    expect(readXattrs(at("a", name))).toEqual(xattrs);
  }
  expect(fs.lstatSync(at("a", "fifo")).mode & 0o7777).toBe(0o666);
  fs.writeFileSync(at("a", "file"), "");
  fs.symlinkSync("nowhere", at("a", "one"));
  fs.linkSync(at("a", "one"), at("a", "two"));
  for (const name of ["file", "b", "two"]) {
    expect(() => give(name)).toThrow("EEXIST");
    expect(fs.lstatSync(at("a", name)).uid).toBe(process.geteuid?.() ?? -1);
  }
});
