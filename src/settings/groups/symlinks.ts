// Symlinks (SYMLINK_…): how links and the directories behind them are made, owned and mended.

import { field, type ValuesOf } from "../field.ts";
import { account, boolean, integer, octalMode } from "../types.ts";

export const symlinksFields = {
  force_recreate: field("SYMLINK_FORCE_RECREATE", boolean, false, "replace existing links"),
  verify_targets: field(
    "SYMLINK_VERIFY_TARGETS",
    boolean,
    true,
    "a target must exist before it is linked to",
  ),
  create_missing_targets: field(
    "SYMLINK_CREATE_MISSING_TARGETS",
    boolean,
    true,
    "create absent target directories",
  ),
  directory_mode: field(
    "SYMLINK_DIRECTORY_MODE",
    octalMode,
    "0755",
    "mode of created directories, octal",
  ),
  symlink_owner: field(
    "SYMLINK_SYMLINK_OWNER",
    account,
    "agent0",
    "owner of links and directories",
    { aliases: ["SYMLINK_OWNER"] },
  ),
  symlink_group: field(
    "SYMLINK_SYMLINK_GROUP",
    account,
    "agent0",
    "group of links and directories",
    { aliases: ["SYMLINK_GROUP"] },
  ),
  health_check_interval: field(
    "SYMLINK_HEALTH_CHECK_INTERVAL",
    integer(1, 2_000_000),
    300,
    "how often the daemon checks the links, in seconds",
  ),
  repair_broken_links: field(
    "SYMLINK_REPAIR_BROKEN_LINKS",
    boolean,
    true,
    "the daemon mends broken links by itself",
  ),
};

export type SymlinksSettings = ValuesOf<typeof symlinksFields>;
