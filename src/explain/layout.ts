// Codes of the layout: links, directories, storage roots, the owner.

import type { Explanations } from "./define.ts";

export const explanations: Explanations = {
  LINK_FOREIGN: {
    meaning:
      "A link stands in the place of one of the layout, leads somewhere that exists, and was not made by the agent.",
    causes: ["somebody made it by hand", "another program manages it", "an older script made it"],
    remedy: [
      "see where it leads: `readlink -f PATH`",
      "if it may go: `citadel-agent links create --force` (or `repair --force`)",
      "if it is right: set the path it leads to (`citadel-agent config show`)",
    ],
  },
  LINK_PLACE_TAKEN: {
    meaning: "A real file or directory stands where a link of the layout belongs.",
    causes: ["a program wrote there before the link was made", "the link was replaced by a copy"],
    remedy: [
      "see what it holds: `ls -la PATH`",
      "`links create --adopt` moves its content into the link's target; nothing is overwritten",
      "`--move-aside` renames it",
    ],
  },
  LINK_TARGET_MISSING: {
    meaning: "The directory that a link should lead to does not exist, and may not be made.",
    causes: [
      "SYMLINK_CREATE_MISSING_TARGETS is off",
      "a model that was activated has been moved or removed",
    ],
    remedy: ["`citadel-agent dirs create`", "`citadel-agent models activate ALIAS --default`"],
  },
  LINK_TARGET_NOT_A_DIRECTORY: {
    meaning: "The target of a link exists and is no directory.",
    causes: ["a file or a looping link stands where a directory of the layout belongs"],
    remedy: ["look at it, move it away, then run `citadel-agent repair`"],
  },
  LINK_PARENT_UNUSABLE: {
    meaning: "The directory in which a link belongs does not exist and cannot be made.",
    causes: ["a file stands in its place", "a part of the path is a symbolic link"],
    remedy: ["look at the path part by part: `namei -l PATH`"],
  },
  LINK_SKIPPED: {
    meaning:
      "A cache link is not made on this host, because its owner or the owner's home is missing.",
    causes: ["the service user does not exist", "its home directory does not exist"],
    remedy: ["create the user, or set SYMLINK_SYMLINK_OWNER; then `citadel-agent links create`"],
  },
  LEFTOVER_ODD: {
    meaning:
      "Something has the name of a temporary of the agent and is of a kind that it never makes.",
    causes: ["somebody used such a name"],
    remedy: ["look at it and remove it by hand"],
  },
  FILE_FOREIGN: {
    meaning: "A file that the agent generates is there already and was written by somebody else.",
    causes: ["it was edited by hand", "another tool wrote it"],
    remedy: ["keep what you need of it, then `citadel-agent env --write --move-aside`"],
  },
  BLOCKED: {
    meaning: "This path lies below a storage root that is not mounted, or that does not answer.",
    causes: ["the disk is gone", "the mount failed at boot", "a network mount hangs"],
    remedy: ["`findmnt`, `dmesg`, `mount PATH`", "`citadel-agent repair` when it is mounted again"],
  },
  NOT_MOUNTED: {
    meaning:
      "A storage root is not mounted. Nothing is written there: it would land on the root disk.",
    causes: ["the disk is gone", "the entry in /etc/fstab is missing or wrong"],
    remedy: [
      "`findmnt --verify`, then `mount PATH`",
      "on a host without separate disks: CITADEL_REQUIRE_MOUNTS=no",
    ],
  },
  WRONG_DISK: {
    meaning: "Another file system is mounted on a storage root than at the last set-up.",
    causes: ["disks were swapped", "a disk was formatted", "a wrong entry in /etc/fstab"],
    remedy: [
      "compare: `lsblk -f`, `citadel-agent history --log`",
      "mount the right disk, or accept this one: `citadel-agent setup --accept-disk`",
    ],
  },
  PATHS_CHANGED: {
    meaning: "The paths of the settings are not those with which the last generation was made.",
    causes: ["a setting was changed", "a variable of the environment steers the command"],
    remedy: [
      "`citadel-agent config show --origin` tells where each path comes from",
      "if the new ones are meant: `citadel-agent setup --accept-paths`",
    ],
  },
  OWNER_MISSING: {
    meaning: "`repair --permissions` was asked for, and the owner of the layout does not exist.",
    causes: ["the service user was never created", "the directory service does not answer"],
    remedy: ["`getent passwd USER`; create it or set SYMLINK_SYMLINK_OWNER"],
  },
  ALIAS_COLLISION: {
    meaning: "Two aliases become the same variable name in the environment script.",
    causes: ["aliases that differ only in characters other than letters and digits"],
    remedy: ["rename one in MODEL_CONVENIENCE_LINKS"],
  },
  LAYOUT_OVERLAP: {
    meaning: "The settings give one path two meanings, or put a link inside its own target.",
    causes: ["two paths are set to the same value"],
    remedy: ["`citadel-agent config show`; give each a path of its own"],
  },
  TREE_NOT_READ: {
    meaning: "The files below a storage root could not all be looked at in time.",
    causes: ["a hanging mount", "a disk with errors"],
    remedy: ["`dmesg`, `findmnt`; run the command again"],
  },
};
