// Codes of snapshots: reading, proving, restoring, keeping and removing them.

import type { Explanations } from "./define.ts";

export const explanations: Explanations = {
  SNAPSHOT_AMBIGUOUS: {
    meaning: "The end of a source's short name fits more than one source.",
    causes: ["`latest:active` where two sources end in `active`"],
    remedy: ["write the whole short name, as in the ids of `citadel-agent backup list`"],
  },
  SNAPSHOT_UNKNOWN: {
    meaning: "No snapshot of that name lies in the repository.",
    causes: [
      "a misspelt id",
      "a snapshot that retention removed",
      "the backup disk is not mounted",
    ],
    remedy: [
      "`citadel-agent backup list` shows what there is",
      "see that the backup root is mounted",
    ],
  },
  SNAPSHOT_DAMAGED: {
    meaning:
      "The snapshot's own records cannot be trusted, so nothing is restored from it as a whole.",
    causes: [
      "a failing disk",
      "somebody changed files below the snapshot",
      "it was never completed",
    ],
    remedy: [
      "restore from another snapshot: `citadel-agent backup list`",
      "`citadel-agent backup verify ID` names what is wrong",
      "docs/formats/snapshot.md says how to save single files by hand",
    ],
  },
  SNAPSHOT_NOT_OURS: {
    meaning:
      "The directory of the snapshot is not this user's alone, so what is in it may have been prepared by somebody else.",
    causes: ["another user made the snapshot", "its owner or mode was changed (0700 is right)"],
    remedy: [
      "run the command as the user who made it; if you trust its content: `chown root` and `chmod 700` on the directory",
    ],
  },
  LOG_CHANGED: {
    meaning: "A log that was to be archived became something else meanwhile; it was left alone.",
    causes: ["a program that rotates the same logs", "somebody replaced it with a link"],
    remedy: ["look at it with `ls -li`; run the command again"],
  },
  SNAPSHOT_JSON_MISSING: {
    meaning: "A snapshot directory holds no snapshot.json: nothing says what it should contain.",
    causes: ["it was copied in part", "somebody removed the file"],
    remedy: ["use another snapshot", "`data/` can still be looked through by hand, unproved"],
  },
  SNAPSHOT_JSON_DAMAGED: {
    meaning: "The file snapshot.json does not match its own checksum.",
    causes: ["a flipped bit on the disk", "somebody edited it"],
    remedy: ["use another snapshot", "check the disk: `smartctl -a`, `dmesg`"],
  },
  SNAPSHOT_FORMAT_NEWER: {
    meaning:
      "The snapshot was written by a later release, in a format that this one does not know.",
    causes: ["the agent was set back to an earlier release"],
    remedy: ["use the later binary; its docs/formats/snapshot.md describes the format"],
  },
  MANIFEST_DAMAGED: {
    meaning: "A line of manifest.jsonl is not what the format allows.",
    causes: [
      "a failing disk",
      "a snapshot that was made to do harm: paths that leave it, links as parents",
    ],
    remedy: ["do not restore from it", "use another snapshot"],
  },
  SUMS_DAMAGED: {
    meaning: "A line of a checksum list (SHA256SUMS) cannot be read.",
    causes: ["a failing disk", "an edited list"],
    remedy: ["`citadel-agent backup verify ID`: the manifest holds the same sums"],
  },
  BACKUP_DAMAGED: {
    meaning: "A verification found paths that are not as they were backed up.",
    causes: ["bits that rotted on the disk", "files changed below the snapshot"],
    remedy: [
      "`citadel-agent backup verify ID` names files and byte ranges",
      "`citadel-agent backup repair ID` heals them from the source or another snapshot",
    ],
  },
  PACKED_FILE_DAMAGED: {
    meaning: "A compressed file of a snapshot cannot be unpacked to what it was.",
    causes: ["a failing disk"],
    remedy: ["`citadel-agent backup repair ID`", "restore the file from another snapshot"],
  },
  RESTORE_TARGET_NOT_EMPTY: {
    meaning:
      "A restore goes to a directory that is absent or empty, so that nothing is mixed or lost.",
    causes: ["the target was restored before", "a wrong --to"],
    remedy: ["name another directory", "to mend an existing tree file by file: `--in-place`"],
  },
  RESTORE_TARGET_NOT_TEXT: {
    meaning: "The name of the target holds bytes that are no UTF-8.",
    causes: ["a terminal with another character set", "a name that a program of old made"],
    remedy: [
      "restore to a name in UTF-8 beside it, then rename that with mv",
      "names inside the snapshot may hold any bytes: only the target's own may not",
    ],
  },
  RESTORE_PARENT_MISSING: {
    meaning: "The directory that should hold the target does not exist.",
    causes: ["a misspelt --to", "a disk that is not mounted"],
    remedy: ["mount the disk or make the directory, then restore again"],
  },
  RESTORE_NOTHING_MATCHES: {
    meaning: "No path of the snapshot matches the globs given.",
    causes: ["a path given from the root instead of relative to the source", "a missing `**/`"],
    remedy: ["look for it: `jq -r .path <snapshot>/manifest.jsonl | less`"],
  },
  RESTORE_NO_SPACE: {
    meaning: "What is to be restored does not fit where it should go. Nothing was written.",
    causes: ["a full disk"],
    remedy: ["free space, name another disk with --to, or restore a part with --path"],
  },
  RESTORE_WOULD_REPLACE: {
    meaning:
      "Files of the tree differ from the snapshot, and replacing them was not agreed to. Nothing was touched.",
    causes: ["the files were changed since the snapshot, or are damaged"],
    remedy: ["`--force` replaces them", "restore to another directory and compare"],
  },
  RESTORE_TYPE_CONFLICT: {
    meaning: "A directory lies where the snapshot has a file, or the other way round.",
    causes: ["the tree was changed since the snapshot"],
    remedy: ["move what lies there aside, then restore again"],
  },
  RESTORE_TARGET_REPLACED: {
    meaning: "The target was exchanged by someone else at the moment it was put in place.",
    causes: ["another process works in the same directory"],
    remedy: ["restore to a directory that only root can write"],
  },
  RESTORE_INCOMPLETE: {
    meaning:
      "Some files could not be restored as they were backed up; they were left out, never guessed.",
    causes: ["damage in the snapshot"],
    remedy: ["restore them from another snapshot with --path", "`citadel-agent backup repair ID`"],
  },
  ARGUMENTS_CONFLICT: {
    meaning: "Two arguments of the command exclude each other, or one of two is needed.",
    causes: ["a mistaken command line"],
    remedy: ["see `--help` of the command"],
  },
  TIME_INVALID: {
    meaning: "A time was not understood.",
    causes: ["another notation"],
    remedy: ["write 2026-01-02, or 2026-01-02T03:04:05Z"],
  },
  WORKER_FAILED: {
    meaning: "A thread that hashes or copies ended unexpectedly.",
    causes: ["too little memory", "a bug"],
    remedy: ["run the command again", "report it with `citadel-agent incident`"],
  },
  NATIVE_CALLS_MISSING: {
    meaning: "A step needs a system call of a C library that could not be opened.",
    causes: ["an unusual C library"],
    remedy: ["use the binary built for this libc (musl)"],
  },
  JOB_DIED: {
    meaning: "A backup job was recorded as running, and its process is gone.",
    causes: ["kill -9", "a power cut", "the machine was out of memory"],
    remedy: ["run the job again: a backup goes on where it stopped"],
  },
  CLEANUP_REMOVES_MOST: {
    meaning:
      "Retention would remove more than half of a source's snapshots, or of their bytes. Nothing was touched.",
    causes: [
      "backups that did not run for a long time",
      "a short retention",
      "a clock that jumped ahead",
    ],
    remedy: [
      "look at the plan: `citadel-agent backup cleanup --dry-run`",
      "if it is right: `--force`",
    ],
  },
  CLOCK_BEFORE_SNAPSHOT: {
    meaning:
      "The clock is earlier than the newest snapshot, so ages cannot be judged. Nothing was touched.",
    causes: [
      "a clock that was set back, or not set after a start",
      "a snapshot made with a clock that was ahead",
    ],
    remedy: ["set the clock (`timedatectl`)", "if the clock is right: `--force`"],
  },
  CLEANUP_INCOMPLETE: {
    meaning: "Some snapshots that retention no longer keeps could not be removed.",
    causes: ["a restore or a verification uses them", "missing rights"],
    remedy: ["run `citadel-agent backup cleanup` again later"],
  },
  SCHEDULE_NOT_ENABLED: {
    meaning: "The units of the schedule are written, and systemd did not take them up.",
    causes: ["systemd does not run here", "a masked unit"],
    remedy: ["run the command of the message by hand", "use `backup schedule install --cron`"],
  },
  TEST_RESTORE_FAILED: {
    meaning: "A test restore did not give back, byte for byte, what was backed up.",
    causes: ["a failing backup disk"],
    remedy: ["`citadel-agent backup verify --all`", "check the disk: `smartctl -a`, `dmesg`"],
  },
  REPAIR_INCOMPLETE: {
    meaning:
      "Some damaged paths of a snapshot could not be healed: nobody holds the same content any more.",
    causes: ["the source changed since, and no other snapshot has this version"],
    remedy: [
      "make a new backup now",
      "the rest of the snapshot can be restored: lost files are named",
    ],
  },
  CATALOG_UNAVAILABLE: {
    meaning:
      "The catalogue of backups cannot be written, so a rolling verification could not be credited.",
    causes: ["a full or read-only state disk", "missing rights"],
    remedy: [
      "`citadel-agent doctor`",
      "verify by hand meanwhile: `citadel-agent backup verify --all`",
    ],
  },
};
