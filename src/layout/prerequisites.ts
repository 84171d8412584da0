// What a host must have before the layout makes sense: mounts, rights, users, tools. Pure: facts in, checks out.

import type { AbsolutePath } from "../core/index.ts";
import type { Answer } from "../system/survey/question.ts";
import type { ServiceUser } from "./desired.ts";
import type { StorageRoot } from "./mounts.ts";

export interface PrerequisiteCheck {
  /** Stable: `mount:/mnt/citadel-models`, `rights:/opt/citadel`, `user:agent0`, `tool:smartctl`. */
  readonly id: string;
  readonly name: string;
  readonly ok: boolean;
  /** `error` stops set-up or makes `prereq verify` end with 3; `warning` never changes an exit code. */
  readonly level: "error" | "warning";
  readonly found: string;
  readonly wanted: string;
  /** The command that mends it; null where nothing is to be done. */
  readonly fix: string | null;
}

export interface PrerequisiteFacts {
  readonly roots: readonly StorageRoot[];
  /** Answer to an `access` question for each of the three roots (or the directory it will be made in). */
  readonly access: readonly {
    readonly path: AbsolutePath;
    readonly at: string;
    readonly answer: Answer;
  }[];
  readonly user: ServiceUser;
  readonly owner: string;
  readonly group: string;
  readonly tools: readonly {
    readonly name: string;
    readonly package: string;
    readonly path: string | undefined;
  }[];
  readonly mountsRequired: boolean;
}

/** Judges every prerequisite; each failure names the command that mends it. */
export function checkPrerequisites(facts: PrerequisiteFacts): PrerequisiteCheck[] {
  return [
    ...facts.roots.map((root) => checkMount(root, facts.mountsRequired)),
    ...facts.access.map(checkAccess),
    checkUser(facts),
    ...facts.tools.map(checkTool),
  ];
}

function checkMount(root: StorageRoot, required: boolean): PrerequisiteCheck {
  const { path, mountpoint, fstype, state } = root;
  const found = mountpoint === undefined ? "nothing is mounted" : `${fstype} at ${mountpoint}`;
  return {
    id: `mount:${path}`,
    name: `storage at ${path} is mounted`,
    ok: state === "ok",
    level: "error",
    found: state === "ok" || root.reason === undefined ? found : root.reason,
    wanted: required ? "a mount point other than /" : "anything (mounts are not required)",
    fix: mountFix(root),
  };
}

function mountFix({ leadsTo, mountpoint, path, state }: StorageRoot): string | null {
  switch (state) {
    case "ok":
      return null;
    case "unknown": // mounted, but nobody can tell here which disk it is
      if (mountpoint === undefined) return `mount ${path}`;
      return "sudo citadel-agent prereq verify; if it is the right disk: citadel-agent setup --accept-disk";
    case "wrong_disk":
      return `umount ${path}; mount the right disk there, or: citadel-agent setup --accept-disk`;
    default:
      if (leadsTo !== undefined)
        return `name ${leadsTo} in the settings (CITADEL_*_ROOT), or mount the disk at ${path} in place of the link`;
      return `mount ${path}`;
  }
}

function checkAccess(each: PrerequisiteFacts["access"][number]): PrerequisiteCheck {
  const { path, at, answer } = each;
  const base = {
    id: `rights:${path}`,
    name: `${path} can be read and written`,
    level: "error",
  } as const;
  const wanted = "read, write and search";
  if (answer.kind === "access") {
    const ok = answer.read && answer.write && answer.pass;
    const missing = [
      answer.read ? "" : "read",
      answer.write ? "" : "write",
      answer.pass ? "" : "search",
    ].filter((word) => word !== "");
    const why = answer.readOnly
      ? "the file system is read-only"
      : `no right to ${missing.join(", ")}`;
    const fix = answer.readOnly
      ? `dmesg | tail -50; mount -o remount,rw ${at}`
      : `sudo citadel-agent prereq verify; ls -ld ${at}`;
    return {
      ...base,
      ok,
      found: ok ? `yes (${at})` : `${why} (${at})`,
      wanted,
      fix: ok ? null : fix,
    };
  }
  const found =
    answer.kind === "unknown" ? "not answering" : answer.kind === "error" ? answer.text : "missing";
  return { ...base, ok: false, found, wanted, fix: `ls -ld ${at}; dmesg | tail -50` };
}

function checkUser({ user, owner, group }: PrerequisiteFacts): PrerequisiteCheck {
  const { ownership, problem } = user;
  const found =
    ownership === undefined ? (problem ?? "missing") : `${ownership.uid}:${ownership.gid}`;
  return {
    id: `user:${owner}`,
    name: `service user ${owner}:${group}`,
    ok: problem === undefined,
    level: "warning",
    found: problem ?? found,
    wanted: "a user and a group that exist, with a home directory",
    fix: problem === undefined ? null : `useradd --system --create-home --user-group ${owner}`,
  };
}

function checkTool(tool: PrerequisiteFacts["tools"][number]): PrerequisiteCheck {
  const ok = tool.path !== undefined;
  return {
    id: `tool:${tool.name}`,
    name: `program ${tool.name}`,
    ok,
    level: "warning",
    found: tool.path ?? "not found",
    wanted: "in the system's own directories",
    fix: ok ? null : `apt-get install ${tool.package}`,
  };
}

/** Programs that parts of the agent ask; each can be missing. Names and Debian packages. */
export const usedTools: readonly { readonly name: string; readonly package: string }[] = [
  { name: "findmnt", package: "util-linux" },
  { name: "lsblk", package: "util-linux" },
  { name: "fstrim", package: "util-linux" },
  { name: "udevadm", package: "udev" },
  { name: "systemctl", package: "systemd" },
  { name: "smartctl", package: "smartmontools" },
  { name: "tune2fs", package: "e2fsprogs" },
];
