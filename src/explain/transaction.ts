// Codes of the transaction engine, its journal, its locks and of every database.

import type { Explanations } from "./define.ts";

export const explanations: Explanations = {
  LOCKED: {
    meaning: "Another citadel-agent process holds the lock of this domain; it is alive.",
    causes: ["a changing command runs in another terminal", "the daemon repairs something"],
    remedy: ["wait for the process of the message, or give more time with `--lock-timeout S`"],
  },
  PLAN_CHANGED: {
    meaning: "The plan computed now is not the one that was confirmed. Nothing was touched.",
    causes: ["the host, the settings or the journal changed since the plan was shown"],
    remedy: ["look at the new plan with `--dry-run` and confirm that one"],
  },
  HOST_CHANGED: {
    meaning: "A path was not as the plan expects it when its turn came. Every step was undone.",
    causes: ["another program or person changes the same paths"],
    remedy: ["run the command again: it plans anew", "find the other writer if it happens again"],
  },
  UNDO_FAILED: {
    meaning: "A step failed and going back failed too. The transaction stays open.",
    causes: ["a disk that fails or became read-only", "an immutable flag (`lsattr`)"],
    remedy: [
      "mend the cause that the message names",
      "`citadel-agent repair` finishes the undo first; `citadel-agent status` shows the transaction",
    ],
  },
  CONTENT_REFUSED: {
    meaning: "The check of a generated file did not pass; the file was not changed.",
    causes: ["a value in the settings that the consumer of the file does not accept"],
    remedy: ["correct what the message names, then run the command again"],
  },
  CONTENT_MISSING: {
    meaning: "The journal does not hold a former content that an undo or a rollback needs.",
    causes: ["the journal was damaged or edited"],
    remedy: ["restore the file from a backup"],
  },
  COMMAND_FAILED: {
    meaning: "A command that a step runs ended with an error or took too long.",
    causes: ["the message carries what the command said"],
    remedy: ["run the command by hand; then run ours again"],
  },
  VALUE_NOT_TAKEN: {
    meaning: "The kernel accepted the write of an attribute but shows another value.",
    causes: ["the value is not offered by this device or driver"],
    remedy: ["`cat` the path to see the choices; change the profile"],
  },
  FILE_TOO_LARGE: {
    meaning: "A file is too large (16 MiB) to be kept in the journal, so it is not written over.",
    causes: ["something else than the expected small file stands at this path"],
    remedy: ["look at it and move it aside by hand"],
  },
  HARD_LINKED: {
    meaning:
      "A file has more than one name; mode and owner are left alone, another name may be a stranger's.",
    causes: ["a hard link made by a user of the tree", "hard-linked backups"],
    remedy: ["`ls -li` and `find -samefile` show the names; change it by hand if that is right"],
  },
  NAME_NOT_UTF8: {
    meaning: "A link's target is not UTF-8 text and could not be put back exactly.",
    causes: ["a link made under another character set"],
    remedy: ["replace the link by hand"],
  },
  ADOPT_CONFLICT: {
    meaning:
      "Adopting would have to overwrite: the same name holds different content in the target.",
    causes: ["the target has another version of a file", "a special file in the tree"],
    remedy: ["compare the two paths, keep one, then run the command again"],
  },
  NOTHING_TO_ROLL_BACK: {
    meaning: "`rollback` was asked to undo the newest generation, and there is none.",
    causes: ["nothing was set up yet", "the state directory is another one (CITADEL_STATE_DIR)"],
    remedy: ["see `citadel-agent history`"],
  },
  COPY_DIFFERS: {
    meaning: "A copy did not read back as it was written; it was not used.",
    causes: ["a failing disk, controller or memory"],
    remedy: ["see `dmesg`, `smartctl -a`; test the memory before you copy anything else"],
  },
  ROLLBACK_NOT_OURS: {
    meaning: "A path is not as the agent left it, so a rollback does not touch it.",
    causes: ["it was changed by hand", "a directory we made holds something now"],
    remedy: [
      "move what was put there away, or put it back as it was; then plan the rollback again",
    ],
  },
  ROLLBACK_TOO_OLD: {
    meaning: "A generation in between is no longer kept in the journal.",
    causes: ["CITADEL_HISTORY_KEEP"],
    remedy: ["choose a later generation: `citadel-agent history`"],
  },
  ROLLBACK_PAST_DAMAGE: {
    meaning: "What was before lies in a journal that was damaged and set aside.",
    causes: ["a damaged `journal.db`"],
    remedy: ["`citadel-agent repair` goes forward from what is on disk"],
  },
  GENERATION_UNKNOWN: {
    meaning: "There is no generation with this number.",
    causes: ["a typing error"],
    remedy: ["`citadel-agent history` lists them; 0 is the state before the first set-up"],
  },
  STATE_TOO_NEW: {
    meaning: "The database was written by a newer citadel-agent; this one changes nothing.",
    causes: ["an older binary was started after an upgrade"],
    remedy: ["use the newer binary (`/usr/local/bin/citadel-agent --version`)"],
  },
  STATE_NOT_TRUSTED: {
    meaning:
      "Another user could write the state or lock directory; a root process must not believe it.",
    causes: ["a directory in the path belongs to someone else or is group-writable"],
    remedy: ["run the `chown` and `chmod` of the message"],
  },
  STATE_ON_NETWORK: {
    meaning: "The state directory lies on a network file system, where SQLite's locks do not hold.",
    causes: ["CITADEL_STATE_DIR or /var/lib on NFS, CIFS, Ceph, sshfs"],
    remedy: ["set CITADEL_STATE_DIR to a directory on a disk of this host"],
  },
  DAEMON_TOO_OLD: {
    meaning: "The journal must be migrated, and a daemon of the older version still runs.",
    causes: ["the binary was replaced without a restart of the service"],
    remedy: ["`systemctl restart citadel-agent`, then run the command again"],
  },
  DATABASE_FULL: {
    meaning: "A database of the agent could not be written: no space. What was begun was undone.",
    causes: ["the file system of the state directory is full"],
    remedy: ["free space there (`df -h`, `df -i`), then run the command again"],
  },
  DATABASE_READ_ONLY: {
    meaning: "A database of the agent could not be written: read-only file system.",
    causes: ["the kernel remounted it after an error", "a read-only image"],
    remedy: ["see `dmesg`; mount it read-write again"],
  },
  DATABASE_IO: {
    meaning: "The device of the state directory failed a read or a write.",
    causes: ["a failing disk or controller"],
    remedy: ["see `dmesg` and `smartctl -a`; move the state directory to a sound disk"],
  },
  DATABASE_DAMAGED: {
    meaning: "A database of the agent is damaged.",
    causes: ["a failing disk", "a copy made while it was in use"],
    remedy: ["`citadel-agent repair` sets a damaged journal aside and goes forward from the disk"],
  },
  DATABASE_BUSY: {
    meaning: "Another process holds a database of the agent for longer than five seconds.",
    causes: ["a backup tool copies it", "a long migration"],
    remedy: ["run the command again when the other process is done"],
  },
  DATABASE_FAILED: {
    meaning: "SQLite refused a request; this is probably a bug in citadel-agent.",
    causes: ["see the message"],
    remedy: ["report it with the output of `citadel-agent incident`"],
  },
  PATH_OUTSIDE_ROOT: {
    meaning: "A plan names a path outside of `--root`; this is a bug in citadel-agent.",
    causes: ["a setting that names a path outside of the root"],
    remedy: ["report it with the output of `citadel-agent incident`"],
  },
};
