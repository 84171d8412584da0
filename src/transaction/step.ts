// A step: an operation of a plan as the journal keeps it, with what its undo needs. Each kind of operation has a
// StepKind in `steps/`; the engine knows nothing about them but this interface.

import type { AbsolutePath } from "../core/index.ts";
import type { SyncResult } from "../system/index.ts";
import type { DirectoryTree } from "../system/directory-tree.ts";
import type { Operation, PathState } from "./operation.ts";

/** An entry of an adopted tree, as it was when the plan was recorded. */
export interface AdoptedEntry {
  /** Its name, one byte a character (latin1): every name survives JSON so. */
  readonly name: string;
  readonly type: "directory" | "file" | "link";
  /** It is in the target already, equal: left alone by apply and by undo. */
  readonly existed: boolean;
  readonly sizeBytes: number;
  /** Of a directory. */
  readonly entries?: readonly AdoptedEntry[] | undefined;
}

/** What the undo needs beside `before` and `after`; durable before the first step runs. */
export interface UndoRecord {
  /** `write_file`: the backup name was there already. */
  readonly backupExisted?: boolean | undefined;
  /** `move_aside`, `adopt`: `dev:ino` of what was at the path. */
  readonly identity?: string | undefined;
  /** `adopt`: what is adopted: the content of a directory, or one file. */
  readonly entries?: readonly AdoptedEntry[] | undefined;
}

export interface Step {
  readonly seq: number;
  readonly operation: Operation;
  readonly undo: UndoRecord;
}

export interface Prepared {
  readonly operation: Operation;
  readonly undo: UndoRecord;
  /** Contents to keep in the journal, by SHA-256. */
  readonly contents?: ReadonlyMap<string, Uint8Array> | undefined;
}

/** What an earlier step of the same plan will have made of the path by then. */
export interface Projection {
  /** The path is not yet as `found` says: an earlier step makes it so. */
  readonly projected: boolean;
  /** The content that `found` has, from the disk or from an earlier step. */
  readonly former: () => Uint8Array;
}

export type UndoOutcome =
  | { readonly outcome: "undone" | "nothing" }
  /** Not ours any more, or not empty: left as it is on purpose. */
  | { readonly outcome: "kept"; readonly message: string };

/** What steps may use. Everything they do to the host goes through here. */
export interface StepContext {
  readonly tree: DirectoryTree;
  /** The name of this step's temporary: known from the journal, unguessable to others. */
  temporary(seq: number, purpose: "do" | "undo" | "aside"): string;
  /** A content of the journal. @throws code CONTENT_MISSING */
  content(sha256: string): Uint8Array;
  run(command: readonly string[], timeoutMs: number): SyncResult;
  /** Long copies (adopt across file systems). */
  onProgress?: ((path: string, bytes: number, totalBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Lets signals in, in the middle of something long; throws when one asks to stop. */
  pause(): Promise<void>;
}

export interface StepKind {
  /** One atomic create or rename: allowed when only the fallback journal can be written. */
  readonly atomic: boolean;
  /** Whether observing `before` needs the file's digest. */
  readonly needsDigest: boolean;
  /** Completes the operation with what is there (`before` in full) and what the undo needs. Changes nothing. */
  prepare(
    context: StepContext,
    operation: Operation,
    found: PathState,
    projection: Projection,
  ): Prepared;
  /** Reads the state if it is not that of a path (`set_value`, `run_command`). */
  observe?(context: StepContext, operation: Operation): PathState;
  /**
   * Checks `before` again and does it; a promise only where it may take long.
   * @throws HOST_CHANGED, or the error of the system call
   */
  apply(context: StepContext, step: Step): void | Promise<void>;
  /** Goes back from `after`, from `before`, or from anything between. @throws if the way back fails */
  undo(context: StepContext, step: Step): UndoOutcome;
  /** After the commit point: the part that destroys something. May be run again. */
  readonly cleanup?: (context: StepContext, step: Step) => UndoOutcome;
}

export const undone: UndoOutcome = { outcome: "undone" };
export const nothingToUndo: UndoOutcome = { outcome: "nothing" };
export const kept = (message: string): UndoOutcome => ({ outcome: "kept", message });

/** The plain prepare: `before` as found, nothing else. */
export function prepareAsFound(
  _context: StepContext,
  operation: Operation,
  found: PathState,
): Prepared {
  return { operation: { ...operation, before: found }, undo: {} };
}

export function targetOf(operation: Operation): AbsolutePath {
  if (operation.to === undefined) throw new TypeError(`${operation.op} without \`to\``);
  return operation.to;
}
