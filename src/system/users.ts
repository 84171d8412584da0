// Who is who on the host: names to numbers and homes. The local files first, then getent (LDAP, SSSD), which runs
// as a child with a deadline. Below `--root` only that tree's own files count, where it has any.

import { joinPath } from "../core/index.ts";
import { lstat, readText } from "./files.ts";
import type { HostPaths } from "./host-paths.ts";
import { runProcess } from "./processes.ts";

export interface UserEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Host path. */
  readonly home: string;
}

export interface GroupEntry {
  readonly name: string;
  readonly gid: number;
}

const getentTimeoutMs = 5000;
const highestId = 4_294_967_294; // (uid_t)-1 means "unchanged" to chown(2)

/** A user or group given by its number. */
export function parseId(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= highestId ? id : undefined;
}

/** Finds a user in passwd(5) text by name, or by number where `text` is one and no user has it as a name. */
export function findUser(passwd: string, text: string): UserEntry | undefined {
  const entries = passwd.split("\n").map((line) => line.split(":"));
  const id = parseId(text);
  const fields =
    entries.find(([name]) => name === text) ??
    (id === undefined ? undefined : entries.find((entry) => Number(entry[2]) === id && entry[2]));
  if (fields === undefined || fields.length < 7) return undefined;
  const [name = "", , uid, gid, , home = ""] = fields;
  return { name, uid: Number(uid), gid: Number(gid), home };
}

/** Finds a group in group(5) text by name or number. */
export function findGroup(groups: string, text: string): GroupEntry | undefined {
  const entries = groups.split("\n").map((line) => line.split(":"));
  const id = parseId(text);
  const fields =
    entries.find(([name]) => name === text) ??
    (id === undefined ? undefined : entries.find((entry) => Number(entry[2]) === id && entry[2]));
  if (fields === undefined || fields.length < 4) return undefined;
  return { name: fields[0] ?? "", gid: Number(fields[2]) };
}

/**
 * Looks a user up.
 * @param text name or number
 * @returns undefined where nobody has it, or where the directory service did not answer in 5 s
 */
export async function lookupUser(
  text: string,
  hostPaths: HostPaths,
): Promise<UserEntry | undefined> {
  return database("passwd", text, hostPaths, (all) => findUser(all, text));
}

/** Looks a group up, as `lookupUser` does a user. */
export async function lookupGroup(
  text: string,
  hostPaths: HostPaths,
): Promise<GroupEntry | undefined> {
  return database("group", text, hostPaths, (all) => findGroup(all, text));
}

async function database<T>(
  name: "passwd" | "group",
  text: string,
  hostPaths: HostPaths,
  find: (all: string) => T | undefined,
): Promise<T | undefined> {
  const own = hostPaths.relocated ? readText(joinPath(hostPaths.etc, name)) : undefined;
  if (own !== undefined) return find(own);
  const local = find(readText(`/etc/${name}`) ?? "");
  if (local !== undefined) return local;
  const homed = lstat("/run/systemd/userdb/io.systemd.Home") !== undefined;
  if (!asksOthers(name, readText("/etc/nsswitch.conf"), homed)) return undefined;
  try {
    const run = await runProcess(["getent", "--", name, text], { timeoutMs: getentTimeoutMs });
    return run.exitCode === 0 ? find(run.stdout) : undefined;
  } catch {
    return undefined; // no getent (musl): the local files are all there is
  }
}

/**
 * Whether nsswitch.conf(5) names a source beside the local files for this database. Without the file glibc asks
 * the local files only. `systemd` knows only its own transient users unless homed runs (nss-systemd(8)).
 * @param homed whether systemd-homed offers users
 */
export function asksOthers(
  name: "passwd" | "group",
  nsswitch: string | undefined,
  homed: boolean,
): boolean {
  const line = nsswitch?.split("\n").find((each) => each.trimStart().startsWith(`${name}:`));
  if (line === undefined) return false;
  const sources = line
    .slice(line.indexOf(":") + 1)
    .replace(/#.*/, "")
    .replace(/\[[^\]]*\]/g, " ")
    .split(/\s+/);
  const local = new Set(["", "files", "compat", ...(homed ? [] : ["systemd"])]);
  return sources.some((source) => !local.has(source));
}
