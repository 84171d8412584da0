// Doctor's checks of the machine: rights, tools, clock, free space, ports, the service.

import { CitadelError, formatBytes, formatTime } from "../core/index.ts";
import {
  fileSystemUsage,
  findPortHolder,
  lstat,
  mountOf,
  readMounts,
  runProcess,
  stat,
  type Clock,
  type Environment,
  type HostPaths,
} from "../system/index.ts";
import type { CheckResult, DoctorCheck } from "./check.ts";

const toolTimeoutMs = 3000;

/** Programs the agent calls, and what is lost where one is missing. */
export const helperTools: readonly (readonly [string, string])[] = [
  ["smartctl", "disk health (package smartmontools)"],
  ["findmnt", "the check of fstab before it is kept (package util-linux)"],
  ["udevadm", "scheduler rules taking effect without a reboot (package udev)"],
  ["systemctl", "the service, the timers and mount units (package systemd)"],
  ["getent", "users from LDAP or SSSD (package libc-bin)"],
  ["tune2fs", "the default journal mode of ext4 (package e2fsprogs)"],
];

export function rightsCheck(environment: Environment, hostPaths: HostPaths): DoctorCheck {
  return {
    id: "rights",
    name: "rights of the caller",
    run() {
      if (hostPaths.relocated)
        return { state: "ok", found: `--root ${hostPaths.root}: none needed` };
      if (environment.isRoot) return { state: "ok", found: "root" };
      return {
        state: "warning",
        found: `uid ${environment.uid}: may look, may change only its own files`,
        fix: "run changing commands with sudo",
      };
    },
  };
}

/** The running binary must not be one that others can replace. */
export function binaryCheck(path: string, environment: Environment): DoctorCheck {
  return {
    id: "binary",
    name: "the binary itself",
    run() {
      const found = stat(path);
      if (found === undefined) {
        return {
          state: "warning",
          found: `${path} was removed or replaced while it runs`,
          fix: "restart the service",
        };
      }
      const writable = (found.mode & 0o022) !== 0;
      const foreign = found.uid !== 0 && environment.isRoot;
      if (!writable && !foreign) return { state: "ok", found: path };
      return {
        state: environment.isRoot ? "failed" : "warning",
        found: `${path} ${writable ? "is writable by others" : `belongs to uid ${found.uid}`}: who can change it becomes root`,
        fix: "citadel-agent service install  (a copy of root's in /usr/local/bin)",
      };
    },
  };
}

export function toolsCheck(searchPath: string): DoctorCheck {
  return {
    id: "tools",
    name: "helper programs",
    run() {
      const missing = helperTools.filter(
        ([tool]) => !searchPath.split(":").some((directory) => lstat(`${directory}/${tool}`)),
      );
      if (missing.length === 0) return { state: "ok", found: `all ${helperTools.length} present` };
      return {
        state: "warning",
        found: missing.map(([tool, loss]) => `${tool} is missing: no ${loss}`).join("; "),
        fix: "install the packages named",
      };
    },
  };
}

/**
 * @param notBeforeMs a moment that must lie in the past: the build time, or the newest record of our own
 */
export function clockCheck(clock: Clock, notBeforeMs: number): DoctorCheck {
  return {
    id: "clock",
    name: "clock",
    async run(signal) {
      const nowMs = clock.nowMs();
      if (nowMs < notBeforeMs) {
        return {
          state: "failed",
          found: `${formatTime(nowMs)} lies before ${formatTime(notBeforeMs)}, which has already been`,
          fix: "set the clock (`timedatectl set-ntp true`): retention refuses to work until then",
        };
      }
      const synchronized = await readNtpState(signal);
      if (synchronized === undefined) {
        return { state: "unknown", found: "nobody here says whether the clock is synchronized" };
      }
      return synchronized
        ? { state: "ok", found: "synchronized" }
        : { state: "warning", found: "not synchronized", fix: "timedatectl set-ntp true" };
    },
  };
}

async function readNtpState(signal: AbortSignal): Promise<boolean | undefined> {
  try {
    const command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"];
    const run = await runProcess(command, { timeoutMs: toolTimeoutMs, signal });
    return run.exitCode === 0 ? run.stdout.trim() === "yes" : undefined;
  } catch (thrown) {
    if (thrown instanceof CitadelError && thrown.code === "TOOL_MISSING") return undefined;
    throw thrown;
  }
}

const networkFileSystems = new Set([
  "nfs",
  "nfs4",
  "cifs",
  "smb3",
  "ceph",
  "9p",
  "fuse.sshfs",
  "glusterfs",
]);
const minFreeBytes = 64 * 1024 ** 2;

/** Room and kind of the file system that holds the agent's state. */
export function stateDiskCheck(stateDir: string, hostPaths: HostPaths): DoctorCheck {
  return {
    id: "state_disk",
    name: "disk of the state directory",
    run(): CheckResult {
      if (lstat(stateDir) === undefined) {
        return {
          state: "not_applicable",
          found: `${stateDir} does not exist yet`,
          fix: "citadel-agent setup",
        };
      }
      const mount = hostPaths.proc === undefined ? undefined : mountOf(readMounts(), stateDir);
      if (mount !== undefined && networkFileSystems.has(mount.fstype)) {
        return {
          state: "failed",
          found: `${stateDir} is on ${mount.fstype}: locks and flushes cannot be trusted there`,
          fix: "set CITADEL_STATE_DIR to a local disk",
        };
      }
      const usage = fileSystemUsage(stateDir);
      const room = `${formatBytes(usage.availableBytes)} free`;
      if (usage.availableBytes >= minFreeBytes) return { state: "ok", found: room };
      return {
        state: "warning",
        found: `${room} for ${stateDir}; the journal was grown beforehand and goes on, history may not`,
        fix: `free space on ${mount?.mountpoint ?? "its file system"}`,
      };
    },
  };
}

/** A port of ours: free, ours, or taken by somebody (8000 is also the default of vLLM). */
export function portCheck(
  id: string,
  name: string,
  port: number,
  ownPid: number | null,
): DoctorCheck {
  return {
    id,
    name,
    run() {
      const holder = findPortHolder(port);
      if (holder === undefined) return { state: "ok", found: `${port} is free` };
      if (holder.pid !== undefined && holder.pid === ownPid) {
        return { state: "ok", found: `${port} is held by the daemon (pid ${ownPid})` };
      }
      const who =
        holder.pid === undefined
          ? "another user's process"
          : `${holder.command} (pid ${holder.pid})`;
      return {
        state: "warning",
        found: `${port} is held by ${who}`,
        fix: "give one of the two another port, then restart it",
      };
    },
  };
}
