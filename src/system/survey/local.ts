// Which paths this process may ask for itself. A path is safe when it and every part of it lies on a file system
// that answers (`/` itself or memory) and no part is a link: a link could lead to a mount that hangs.

import * as fs from "node:fs";
import { nameOf, parentOf } from "../../core/index.ts";
import { MissingNames } from "../missing-names.ts";
import type { Mount } from "../mountinfo.ts";
import { resolutionOf, stateOf } from "./probe.ts";
import type { Answer, Resolution } from "./question.ts";

/** What has no device behind it that could stop answering. */
const memoryTypes = new Set(["tmpfs", "ramfs", "rootfs", "devtmpfs"]);

export interface LocalView {
  /** The mount point that holds `path`, by text. */
  mountpointOf(path: string): string;
  /** Whether this process may ask about `path` without a risk to hang. */
  isSafe(path: string): boolean;
  /** The state of a safe path; `resolves` is left open where the link leads away from what is safe. */
  state(path: string): Answer;
}

/** @param mounts of this process's own namespace: the kernel's truth, also below `--root` */
export function createLocalView(mounts: readonly Mount[]): LocalView {
  const mountTypes = new Map<string, string>(mounts.map((m) => [m.mountpoint, m.fstype]));
  const holders = new Map<string, string>([["/", "/"]]);
  const safeDirectories = new Map<string, boolean>([["/", true]]);

  const mountpointOf = (path: string): string => {
    if (mountTypes.has(path)) return path;
    const parent = parentOf(path);
    const known = holders.get(parent);
    if (known !== undefined) return known;
    const found = mountpointOf(parent);
    holders.set(parent, found);
    return found;
  };
  const answers = (path: string) => {
    const mountpoint = mountpointOf(path);
    return mountpoint === "/" || memoryTypes.has(mountTypes.get(mountpoint) ?? "");
  };
  const isSafeDirectory = (path: string): boolean => {
    const known = safeDirectories.get(path);
    if (known !== undefined) return known;
    const safe = isSafeDirectory(parentOf(path)) && answers(path) && !isLink(path);
    safeDirectories.set(path, safe);
    return safe;
  };
  const isSafe = (path: string) => isSafeDirectory(parentOf(path)) && answers(path);

  // many links can lead to one place: it is asked about once
  const resolutions = new Map<string, Resolution | undefined>();
  const resolve = (path: string, target: string): Resolution | undefined => {
    const at = destination(path, target);
    if (at === undefined) return undefined;
    if (resolutions.has(at)) return resolutions.get(at);
    const resolution = isSafe(at) ? resolutionAt(at) : undefined;
    resolutions.set(at, resolution);
    return resolution;
  };
  const missing = new MissingNames();
  const state = (path: string): Answer => {
    const parent = parentOf(path);
    if (missing.lacks(parent, nameOf(path))) return { kind: "absent" };
    const found = stateOf(path, resolve);
    if (found.kind === "absent") missing.note(parent, () => fs.readdirSync(parent));
    return found;
  };
  return { mountpointOf, isSafe, state };
}

/** Undefined where the place is a link itself: that one leads on. */
function resolutionAt(path: string): Resolution | undefined {
  const found = stateOf(path, undefined);
  if (found.kind === "absent") return "missing";
  if (found.kind !== "state" || found.type === "link") return undefined;
  return resolutionOf(found.type);
}

function isLink(path: string): boolean {
  try {
    return fs.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  } catch {
    return false; // no right to look: then what lies below fails by itself, at once
  }
}

/**
 * The path that a link names, judged from the link's own directory; undefined where a `..` follows a name (that
 * name could be a link, and the text alone would lie).
 */
export function destination(path: string, target: string): string | undefined {
  const absolute = target.startsWith("/");
  // the usual target is clean already: no empty part, no part that begins with a dot, no slash at the end
  if (absolute && !target.includes("/.") && !target.includes("//") && !target.endsWith("/")) {
    return target;
  }
  let base = absolute ? "" : parentOf(path);
  if (base === "/") base = "";
  const parts: string[] = [];
  for (const part of target.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.length > 0) return undefined;
    else base = base === "" ? "" : base.slice(0, base.lastIndexOf("/"));
  }
  return parts.length === 0 ? base || "/" : `${base}/${parts.join("/")}`;
}
