// Names as bytes. A path inside a snapshot is a sequence of bytes, not text; here it is a string with one character
// per byte (latin1), so that `<` is the order of bytes, `===` compares, and a Map can hold it at one byte each.

import { isUtf8 } from "node:buffer";

declare const bytePath: unique symbol;
/** A relative path, one character (0..255) per byte. Never print it or hand it to a system call as it is. */
export type BytePath = string & { readonly [bytePath]: true };

/** The path of the source's root directory itself. */
export const rootPath = "." as BytePath;

/** Longest path the format takes: PATH_MAX less the zero byte (limits.h). */
export const maxPathBytes = 4095;

/** @param bytes a path as the system gave it */
export function fromBytes(bytes: Uint8Array): BytePath {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(
    "latin1",
  ) as BytePath;
}

/** @param text a path as a person typed it: its UTF-8 bytes */
export function fromText(text: string): BytePath {
  return Buffer.from(text, "utf8").toString("latin1") as BytePath;
}

/** @returns the bytes, for a system call */
export function toBytes(path: BytePath): Buffer {
  return Buffer.from(path, "latin1");
}

// oxlint-disable-next-line no-control-regex -- ASCII is what the class means
const ascii = /^[\x00-\x7f]*$/;

/** @returns the text, or undefined where the bytes are not UTF-8 */
export function toText(path: BytePath): string | undefined {
  if (ascii.test(path)) return path;
  const bytes = toBytes(path);
  return isUtf8(bytes) ? bytes.toString("utf8") : undefined;
}

/** For people and JSON: what is not UTF-8 becomes U+FFFD (spec/cli.md, JSON documents). */
export function displayPath(path: BytePath): string {
  return ascii.test(path) ? path : toBytes(path).toString("utf8");
}

/** `path_b64` where the bytes are not UTF-8. */
export interface JsonPath {
  readonly path: string;
  readonly path_b64?: string;
}

/** `{path}`, and `path_b64` beside it where the bytes are not UTF-8. */
export function jsonPath(path: BytePath): JsonPath {
  if (toText(path) !== undefined) return { path: displayPath(path) };
  return { path: displayPath(path), path_b64: toBytes(path).toString("base64") };
}

/** An absolute path for a system call: `root` (text) + `/` + `path`; `.` gives `root` itself. */
export function absoluteBytes(root: string, path: BytePath): Buffer {
  if (path === rootPath) return Buffer.from(root);
  return Buffer.concat([Buffer.from(root), Buffer.from("/"), toBytes(path)]);
}

/** The same as text where that says it, which costs a call less to make. */
export function absolutePlace(root: string, path: BytePath): Buffer | string {
  return ascii.test(path) && path !== rootPath ? `${root}/${path}` : absoluteBytes(root, path);
}

/** The directory that holds `path`; `.` for the first level and for `.` itself. */
export function parentPath(path: BytePath): BytePath {
  const cut = path.lastIndexOf("/");
  return (cut === -1 ? "." : path.slice(0, cut)) as BytePath;
}

/** The last part. */
export function lastPart(path: BytePath): BytePath {
  return path.slice(path.lastIndexOf("/") + 1) as BytePath;
}

/** `dir/name`; below `.` just the name. */
export function childPath(directory: BytePath, name: BytePath): BytePath {
  return (directory === rootPath ? name : `${directory}/${name}`) as BytePath;
}

/**
 * Whether the path can be used below a directory without leaving it: relative, no empty, `.` or `..` part, no NUL,
 * parts of at most 255 bytes. `.` alone (the root) is fine.
 */
export function isSafePath(path: string): boolean {
  if (path === ".") return true;
  if (path.length === 0 || path.length > maxPathBytes || path.includes("\0")) return false;
  for (const part of path.split("/")) {
    if (part === "" || part === "." || part === ".." || part.length > 255) return false;
  }
  return true;
}
