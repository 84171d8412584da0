// Codes of making a snapshot.

import type { Explanations } from "./define.ts";

export const explanations: Explanations = {
  SNAPSHOT_REPLACED: {
    meaning:
      "The directory in which a snapshot was built was moved away, and another one lies under its name.",
    causes: [
      "somebody who may write to the backup root renamed it",
      "two hosts share one backup root",
    ],
    remedy: [
      "see who may write there: `ls -ld` on the backup root and the directories below it",
      "move what lies there aside, then run the backup again",
    ],
  },
  BACKUP_NESTED: {
    meaning:
      "The source and the backup root lie within one another, so that a backup would hold itself.",
    causes: ["SOURCE is a directory above CITADEL_BACKUP_ROOT, or below it"],
    remedy: ["Name a source beside the backup root, or set CITADEL_BACKUP_ROOT to another disk."],
  },
  SOURCE_MISSING: {
    meaning: "The directory to back up is not there.",
    causes: ["its disk is not mounted", "CITADEL_MODELS_ACTIVE or SOURCE names another place"],
    remedy: [
      "See `citadel-agent prereq verify`.",
      "Name the directory: `citadel-agent backup create DIR`.",
    ],
  },
  SOURCE_NOT_A_DIRECTORY: {
    meaning: "The source is a file; snapshots are made of directories.",
    causes: ["SOURCE names a file"],
    remedy: ["Name the directory that holds it."],
  },
  NOT_MOUNTED: {
    meaning:
      "A storage root lies on the root file system where a disk of its own should be mounted.",
    causes: ["the disk is not mounted", "there is no such disk on this host"],
    remedy: [
      "Mount it: `mount PATH`, and see `citadel-agent prereq verify`.",
      "Where it belongs to the root disk, set CITADEL_REQUIRE_MOUNTS=no.",
    ],
  },
  SOURCE_SHRUNK: {
    meaning:
      "The source holds less than half of the files or bytes of its last snapshot. Nothing was written: an unmounted disk must not push the good snapshots out.",
    causes: ["a disk below the source is not mounted", "much was removed on purpose"],
    remedy: [
      "Look at the source and its mounts.",
      "If it is meant: `citadel-agent backup create --accept-shrink`.",
    ],
  },
  BACKUP_NO_SPACE: {
    meaning:
      "The backup disk has not the room that the snapshot needs, with the reserve of the settings.",
    causes: ["old snapshots", "a source that grew"],
    remedy: [
      "`citadel-agent backup cleanup --dry-run`, then without --dry-run.",
      "Use a larger disk.",
    ],
  },
  SNAPSHOT_VANISHED: {
    meaning: "A snapshot that was just made is gone before it could be checked.",
    causes: ["something else removes directories below the backup root"],
    remedy: ["Find it (`auditctl`, cron jobs), then run the backup again."],
  },
  LIBC_MISSING: {
    meaning:
      "The C library of this system cannot be loaded, which walking and copying trees needs.",
    causes: ["the build for glibc runs on a musl system, or the reverse"],
    remedy: ["Use the build that fits: linux-x64 for glibc, linux-x64-musl for musl."],
  },
  PACKED_DAMAGED: {
    meaning:
      "A compressed file of a snapshot cannot be unpacked: its bytes are not what was written.",
    causes: ["the backup disk fails", "the file was changed"],
    remedy: ["`citadel-agent backup verify ID`, then `citadel-agent backup repair ID`."],
  },
  ARGUMENTS_CONTRADICT: {
    meaning: "Two arguments say different things about the same.",
    causes: ["a type as an argument and another one with --type"],
    remedy: ["Give it once."],
  },
};
