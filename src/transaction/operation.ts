// What a change of the host is made of. The engine knows paths, states and how to get from one to the other;
// it knows nothing of links as a feature, of fstab or of models: planners give these meanings.

import type { AbsolutePath } from "../core/index.ts";

/**
 * What a path is, as far as the engine compares it. Modes are permission bits (0o7777); a member that is
 * undefined is not compared (a plan that does not care about the owner leaves uid and gid out).
 */
export type PathState =
  | { readonly type: "absent" }
  | {
      readonly type: "directory";
      readonly mode?: number | undefined;
      readonly uid?: number | undefined;
      readonly gid?: number | undefined;
    }
  | {
      readonly type: "link";
      readonly target: string;
      readonly uid?: number | undefined;
      readonly gid?: number | undefined;
    }
  | {
      readonly type: "file";
      /** Lower-case hex SHA-256 of the content; undefined: any content. */
      readonly sha256?: string | undefined;
      readonly mode?: number | undefined;
      readonly uid?: number | undefined;
      readonly gid?: number | undefined;
    }
  /** A kernel attribute below /sys or /proc, compared by its trimmed text. */
  | { readonly type: "value"; readonly value: string }
  /** A state that only a command can read or change (a systemd unit, a tune2fs flag): compared by its text. */
  | { readonly type: "external"; readonly value: string }
  | { readonly type: "other"; readonly what: "fifo" | "socket" | "block" | "character" };

export type OperationKind =
  | "make_dir"
  | "remove_dir"
  | "set_mode"
  | "set_owner"
  | "create_link"
  | "replace_link"
  | "remove_link"
  | "remove_leftover"
  | "move_aside"
  | "adopt"
  | "write_file"
  | "remove_file"
  | "set_value"
  | "run_command";

/** One step of a plan: `path` is in state `before` and will be in state `after`. Idempotent, with an undo. */
export interface Operation {
  readonly op: OperationKind;
  /** Real path (below `--root` where there is one). */
  readonly path: AbsolutePath;
  /** Why the step is needed, for a person: `the link is missing`. */
  readonly why: string;
  readonly before: PathState;
  readonly after: PathState;
  /** `move_aside`: the new name (absolute). `adopt`: the directory that takes the content. */
  readonly to?: AbsolutePath | undefined;
  /** `write_file`: the new content, base64 where it is not UTF-8. */
  readonly content?: string | undefined;
  readonly contentEncoding?: "utf8" | "base64" | undefined;
  /** `write_file`: keep a copy of the former file beside it under this name (fstab); never overwritten. */
  readonly backupName?: string | undefined;
  /** `write_file`: a check that must pass on the new file before it is kept; `{}` stands for its path. */
  readonly verifyCommand?: readonly string[] | undefined;
  /** `run_command`: how to read the state, to reach `after`, and to get back to `before`. */
  readonly command?:
    | {
        readonly read?: readonly string[] | undefined;
        readonly apply: readonly string[];
        readonly undo?: readonly string[] | undefined;
        readonly timeoutMs: number;
      }
    | undefined;
}

/** Why the plan cannot be applied as it is: data for the plan, never an exception. */
export interface Conflict {
  readonly path: AbsolutePath;
  /** Stable code for `explain`. */
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly found?: PathState | undefined;
}

/** A plan: what one transaction will do, in order, or why it must not. */
export interface Plan {
  /** The command that made it, as a person typed it: `links create`. */
  readonly command: string;
  readonly operations: readonly Operation[];
  readonly conflicts: readonly Conflict[];
  /** How many paths are as desired already. */
  readonly unchanged: number;
  /** Steps that only the booted host can do (units, remounts): shown, never run below `--root`. */
  readonly onTheHost: readonly string[];
  /** What a person should know but need not decide. */
  readonly warnings: readonly string[];
  /** Opaque to the engine, stored with the generation: the planner's own record (activation, disk UUIDs). */
  readonly annotations?: Readonly<Record<string, unknown>> | undefined;
}
