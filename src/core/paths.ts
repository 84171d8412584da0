// Words about paths, without touching a file system.

import { CitadelError } from "./errors.ts";

declare const absolute: unique symbol;
/** A path that starts with `/`, has no `.`, `..` or empty parts and no trailing slash (except `/`). */
export type AbsolutePath = string & { readonly [absolute]: true };

/** Removes empty and `.` parts; resolves `..` by text. `/a//b/./c/..` becomes `/a/b`. */
export function normalizePath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (part === ".." && path.startsWith("/")) continue;
    else parts.push(part);
  }
  const joined = parts.join("/");
  return path.startsWith("/") ? `/${joined}` : joined === "" ? "." : joined;
}

/** @throws kind `usage` if `path` is empty, relative, or holds a NUL byte */
export function absolutePath(path: string): AbsolutePath {
  if (!path.startsWith("/") || path.includes("\0")) {
    throw new CitadelError({
      kind: "usage",
      code: "PATH_NOT_ABSOLUTE",
      message: `not an absolute path: ${JSON.stringify(path)}`,
      hint: "give the path from the root, starting with /",
    });
  }
  return normalizePath(path) as AbsolutePath;
}

/** `/a/b` + `c/d` = `/a/b/c/d`. Both are normalized. */
export function joinPath(base: string, ...parts: string[]): AbsolutePath {
  return normalizePath([base, ...parts].join("/")) as AbsolutePath;
}

/** The directory that holds `path`; `/` holds itself. */
export function parentOf(path: string): AbsolutePath {
  const cut = path.lastIndexOf("/");
  return (cut <= 0 ? "/" : path.slice(0, cut)) as AbsolutePath;
}

/** The last part of `path`; empty for `/`. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Whether `path` is `root` or lies below it, judged by whole parts: `/x` does not hold `/x2`. */
export function isWithin(path: string, root: string): boolean {
  if (root === "/") return path.startsWith("/");
  return path === root || path.startsWith(`${root}/`);
}

/** `path` without the leading `root`, without a leading slash; empty when they are equal. */
export function relativeTo(path: string, root: string): string {
  if (root === "/") return path.slice(1);
  return path.slice(root.length + 1);
}

/** How many parts `path` has; `/` has none. */
export function depthOf(path: string): number {
  return path === "/" ? 0 : path.split("/").length - 1;
}
