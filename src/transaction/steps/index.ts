// Every kind of operation and how it is done, undone and cleaned up after.

import type { OperationKind } from "../operation.ts";
import type { StepKind } from "../step.ts";
import { adopt } from "./adopt.ts";
import { makeDir, removeDir, setMode, setOwner } from "./directories.ts";
import { runCommand, setValue } from "./external.ts";
import { removeFile, removeLeftover, writeFile } from "./files.ts";
import { createLink, removeLink, replaceLink } from "./links.ts";
import { moveAside } from "./move-aside.ts";

export const stepKinds: Readonly<Record<OperationKind, StepKind>> = {
  make_dir: makeDir,
  remove_dir: removeDir,
  set_mode: setMode,
  set_owner: setOwner,
  create_link: createLink,
  replace_link: replaceLink,
  remove_link: removeLink,
  remove_leftover: removeLeftover,
  move_aside: moveAside,
  adopt,
  write_file: writeFile,
  remove_file: removeFile,
  set_value: setValue,
  run_command: runCommand,
};
