// Files for `selftest`: incompressible content from a seed, and damage of a single bit.

import { closeSync, fsyncSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { withErrno } from "./errno.ts";

/** Writes `sizeBytes` bytes that a seed repeats. */
export function writeRandomFile(path: string, sizeBytes: number, random: () => number): void {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  for (let at = 0; at < words.length; at += 1) words[at] = random() * 0x1_0000_0000;
  const bytes = new Uint8Array(words.buffer, 0, sizeBytes);
  const file = withErrno("open", path, () => openSync(path, "w", 0o644));
  try {
    withErrno("write", path, () => writeSync(file, bytes));
  } finally {
    closeSync(file);
  }
}

/** Turns one bit round, in place. */
export function flipBit(path: string, bit: number): void {
  const file = withErrno("open", path, () => openSync(path, "r+"));
  try {
    const byte = new Uint8Array(1);
    const offset = Math.floor(bit / 8);
    readSync(file, byte, 0, 1, offset);
    byte[0] = (byte[0] ?? 0) ^ (1 << (bit % 8));
    writeSync(file, byte, 0, 1, offset);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Makes a directory of our own below `parent`. @returns its path; `remove` takes it away with all it holds */
export function makeScratch(parent: string): { readonly path: string; remove(): void } {
  const path = withErrno("mkdir", parent, () => mkdtempSync(`${parent}/.citadel-agent.selftest-`));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
