// Everything about a tree that a restore has to bring back, as plain text facts: names as bytes, times to the
// nanosecond, which names share an inode, holes, extended attributes (by getfattr, if it is there).

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { dataRanges } from "../../src/system/native.ts";

/** One text per entry, keyed by its path with one character per byte. */
export type TreeFacts = Record<string, string>;

/** @param root one character per byte, as all paths here */
export function treeFacts(root: string): TreeFacts {
  const facts: TreeFacts = {};
  const firstNames = new Map<bigint, string>();
  const visit = (path: string) => {
    const bytes = Buffer.from(path === "." ? root : `${root}/${path}`, "latin1");
    const stat = fs.lstatSync(bytes, { bigint: true });
    const { mode, uid, gid, mtimeNs, size, nlink, rdev } = stat;
    const line = [mode.toString(8), `${uid}:${gid}`, `mtime ${mtimeNs}`];
    if (stat.isFile()) {
      const content = fs.readFileSync(bytes);
      const first = firstNames.get(stat.ino) ?? path;
      firstNames.set(stat.ino, first);
      line.push(`size ${size}`, createHash("sha256").update(content).digest("hex"));
      line.push(`${nlink} names, first ${first}`, `data ${dataOf(bytes, Number(size))}`);
    }
    if (stat.isSymbolicLink()) line.push(fs.readlinkSync(bytes, "latin1"));
    if (stat.isBlockDevice() || stat.isCharacterDevice()) line.push(`device ${rdev}`);
    facts[path] = line.join(" ");
    if (!stat.isDirectory()) return;
    for (const name of fs.readdirSync(bytes, { encoding: "latin1" }).sort()) {
      visit(path === "." ? name : `${path}/${name}`);
    }
  };
  visit(".");
  return facts;
}

function dataOf(path: Buffer, sizeBytes: number): string {
  const fd = fs.openSync(path, "r");
  try {
    return JSON.stringify(dataRanges(fd, sizeBytes, 1000));
  } finally {
    fs.closeSync(fd);
  }
}

/** Every extended attribute below a directory, in hexadecimal, by file; undefined without getfattr(1). */
export function treeXattrs(root: string): string[] | undefined {
  if (Bun.which("getfattr") === null) return undefined;
  const command = ["getfattr", "-R", "-P", "-d", "-h", "-e", "hex", "-m", "-", "."];
  const run = Bun.spawnSync(command, { cwd: root, stdout: "pipe", stderr: "pipe" });
  return run.stdout.toString("latin1").trim().split("\n\n").sort();
}
