// Codes of system calls and signals. The text of an error carries the system's own name (ENOSPC) beside ours.

import type { Explanations } from "./define.ts";

export const explanations: Explanations = {
  INTERRUPTED: {
    meaning: "SIGINT (Ctrl-C) ended the command after the step at hand was finished or undone.",
    causes: ["Ctrl-C"],
    remedy: ["`citadel-agent status` shows a pending transaction; run the same command again"],
  },
  TERMINATED: {
    meaning: "SIGTERM ended the command after the step at hand was finished or undone.",
    causes: ["`kill`, a service manager, a shutdown"],
    remedy: ["`citadel-agent status` shows a pending transaction; run the same command again"],
  },
  PROGRAM_NOT_TRUSTED: {
    meaning:
      "The program that root would start on a schedule could be replaced by somebody who is not root.",
    causes: [
      "the binary was copied into a user's home, or a directory that a group may write",
      "its path holds characters that a crontab or a unit would read otherwise",
      "it is no program: the file is missing, or not executable",
    ],
    remedy: [
      "`citadel-agent service install` copies it to /usr/local/bin/citadel-agent; then run the command again",
    ],
  },
  NOT_A_PLAIN_FILE: {
    meaning: "A small file that the agent reads is a link, a FIFO, a device, or far too large.",
    causes: ["somebody put something else in its place", "a damaged file system"],
    remedy: ["look at it with `ls -li`, find out who made it, and move it aside"],
  },
  NO_SPACE: {
    meaning: "The file system has no free blocks or no free inodes. What was begun was undone.",
    causes: ["a full file system", "no inodes left (`df -i`)", "space reserved for root"],
    remedy: [
      "see `df -h` and `df -i` for the path of the message",
      "free space: `citadel-agent backup cleanup`, `citadel-agent models gc`",
      "run the command again",
    ],
  },
  QUOTA_EXCEEDED: {
    meaning: "The owner of the file has used up a disk quota.",
    causes: ["a user, group or project quota"],
    remedy: [
      "see `quota` or `xfs_quota`; raise the quota or free space, then run the command again",
    ],
  },
  READ_ONLY: {
    meaning: "The file system is mounted read-only. Nothing was changed on it.",
    causes: [
      "the kernel remounted it after an error (`dmesg`)",
      "`ro` in /etc/fstab",
      "a snapshot or an image",
    ],
    remedy: [
      "read `dmesg` first: a disk that fails must not be written to",
      "mount it read-write, run again",
    ],
  },
  PERMISSION: {
    meaning: "The process may not do this to this path.",
    causes: [
      "not root",
      "an immutable flag (`lsattr`)",
      "a restriction of the unit or the container",
    ],
    remedy: ["run the command with sudo, or as the owner of the path"],
  },
  NOT_FOUND: {
    meaning: "The path, or a directory on the way to it, does not exist.",
    causes: [
      "a typing error",
      "storage that is not mounted",
      "removed by another program meanwhile",
    ],
    remedy: ["check the path; `findmnt` shows what is mounted"],
  },
  NOT_A_DIRECTORY: {
    meaning: "A part of the path is something else than a directory.",
    causes: ["a file where a directory is wanted"],
    remedy: [
      "move the file aside or change the setting; the agent removes nothing that it did not make",
    ],
  },
  SYMLINK_IN_PATH: {
    meaning: "A part of the path is a symbolic link, or links form a loop, where none may be.",
    causes: ["a setting that names a link", "a link planted in a tree that others can write"],
    remedy: [
      "set the path to what `realpath` prints",
      "look who made the link before you remove it",
    ],
  },
  ALREADY_EXISTS: {
    meaning: "Something is there that the plan did not expect.",
    causes: ["another program made it between the plan and the step"],
    remedy: ["run the command again: it plans anew"],
  },
  NOT_EMPTY: {
    meaning: "A directory that was to be removed holds something.",
    causes: ["another program wrote into it meanwhile"],
    remedy: ["look at what it holds; run the command again"],
  },
  IO_ERROR: {
    meaning: "The device could not read or write. Data on it may be lost.",
    causes: ["a failing disk, cable or controller", "a damaged file system"],
    remedy: [
      "read `dmesg` and `smartctl -a`",
      "do not write there; verify the newest backup first",
    ],
  },
  MOUNT_DEAD: {
    meaning: "The program behind this mount is gone (FUSE).",
    causes: ["the daemon crashed or was killed"],
    remedy: ["`umount -l` the path and mount it again"],
  },
  MOUNT_STALE: {
    meaning: "The server no longer knows the directory behind this mount (NFS).",
    causes: ["the export was removed or replaced"],
    remedy: ["unmount the path and mount it again"],
  },
  BUSY: {
    meaning: "Something uses the path or the device.",
    causes: ["an open file, a working directory, a mount"],
    remedy: ["`fuser -vm PATH` names the users; try again when they are done"],
  },
  NAME_TOO_LONG: {
    meaning: "A name has more than 255 bytes or a path more than 4095.",
    causes: ["a generated name"],
    remedy: ["shorten the name"],
  },
  TOO_MANY_OPEN_FILES: {
    meaning: "The process or the host has no more file descriptors.",
    causes: ["a low limit (`ulimit -n`, LimitNOFILE=)"],
    remedy: ["raise the limit and run the command again"],
  },
  SYSTEM_CALL_FAILED: {
    meaning: "A system call failed for a reason that has no code of its own here.",
    causes: ["the message holds the system's text and name"],
    remedy: ["look the name up in errno(3); `--verbose` shows where it failed"],
  },
  TOOL_MISSING: {
    meaning: "A program that this command calls is not installed.",
    causes: ["a minimal host"],
    remedy: ["install the package that holds it; `citadel-agent prereq verify` names the command"],
  },
  LIBC_MISSING: {
    meaning: "The C library of the system could not be loaded; a few calls need it.",
    causes: [
      "a binary built for glibc on a musl system, or the other way round",
      "a chroot without libraries",
    ],
    remedy: ["use the build for this system: `linux-x64` for glibc, `linux-x64-musl` for musl"],
  },
  NATIVE_CALLS_MISSING: {
    meaning: "A call that only the C library offers was needed and it could not be loaded.",
    causes: ["as LIBC_MISSING"],
    remedy: ["use the build for this system's C library, or do that one step by hand"],
  },
  WORKER_FAILED: {
    meaning: "A thread of the agent ended while it had work. The work counts as not done.",
    causes: ["no memory left", "a bug in citadel-agent", "a damaged binary"],
    remedy: [
      "look for the OOM killer in `dmesg`",
      "run the command again with fewer parallel jobs",
      "report it with `citadel-agent incident`",
    ],
  },
};
