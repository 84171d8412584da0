// Codes of host tuning and validation.

import type { Explanations } from "./define.ts";

export const explanations: Explanations = {
  FSTAB_UNSAFE: {
    meaning: "The fstab of this host is not a text that a program should edit.",
    causes: ["a NUL byte in the file", "a file larger than 1 MiB"],
    remedy: ["look at it (`file /etc/fstab`, `cat -A /etc/fstab`) and restore it from a backup"],
  },
  FSTAB_LINE_UNSAFE: {
    meaning:
      "The line of a storage mount in fstab can be read in more than one way, so the agent does not edit it.",
    causes: [
      "a backslash at the end of the line or of the line before",
      "a comment or a word where options or numbers belong",
      "an odd number of quotes, or a control character",
    ],
    remedy: [
      "see what mount(8) reads: `findmnt --verify --verbose`",
      "write the line by hand with six plain fields, then run `citadel-agent tune plan`",
    ],
  },
  FSTAB_DUPLICATE_ENTRY: {
    meaning: "The file fstab has more than one entry for the mount point of a storage root.",
    causes: ["an old entry was left when the disk was replaced"],
    remedy: ["remove or comment out the one that is not meant, then run `citadel-agent tune plan`"],
  },
  FSTAB_BLOCK_BROKEN: {
    meaning: "The lines that mark the agent's own block in fstab are damaged.",
    causes: ["an edit by hand removed a BEGIN or END line, or doubled one"],
    remedy: [
      "restore one `# BEGIN citadel-agent` line before and one `# END citadel-agent` line behind the block, or remove both",
    ],
  },
  FSTAB_NOT_VERIFIABLE: {
    meaning: "A changed fstab could not be checked, so it is not written.",
    causes: ["`findmnt` is not installed"],
    remedy: ["install util-linux with findmnt, then run the command again"],
  },
  UDEV_RULE_FOREIGN: {
    meaning:
      "A file `/etc/udev/rules.d/99-citadel-storage.rules` exists, and the agent did not write it.",
    causes: ["a rules file of the former scripts", "a file of somebody else with our name"],
    remedy: ["look at it, rename or remove it, then run `citadel-agent tune plan`"],
  },
  TRIAL_MOUNT_FAILED: {
    meaning:
      "A second, private mount of the file system with the new options failed, so fstab was not changed: the next boot would have failed the same way.",
    causes: [
      "an option that this type of file system refuses",
      "an option that was in fstab before and never worked",
    ],
    remedy: [
      "see the reason with `dmesg | tail`",
      "remove the option from fstab, or use `--profile safe`",
    ],
  },
};
