// What a survey asks and what it learns: plain data that goes to a child process and comes back.

import type { FileType } from "../files.ts";

export type Question =
  /** lstat, readlink, and where a link leads in the end. */
  | { readonly kind: "state"; readonly path: string }
  /** Links and temporaries of ours in a directory; names in `known` are left out. */
  | { readonly kind: "entries"; readonly path: string; readonly known: readonly string[] }
  /** Every name in a directory, up to a thousand: whether it is empty, or holds only what is known. */
  | { readonly kind: "names"; readonly path: string }
  /** The text of a small file (1 MiB at most). */
  | { readonly kind: "text"; readonly path: string }
  /** access(2) for reading, writing and passing, with the effective rights of this process. */
  | { readonly kind: "access"; readonly path: string }
  /** Files and directories below, on the same file system, that do not belong to `uid:gid`. */
  | {
      readonly kind: "strangers";
      readonly path: string;
      readonly uid: number;
      readonly gid: number;
    }
  /** statfs(2). */
  | { readonly kind: "usage"; readonly path: string }
  /** realpath(3): every link resolved. */
  | { readonly kind: "real"; readonly path: string };

/** Where a link leads: the type of what it resolves to, or why it does not. */
export type Resolution = "directory" | "file" | "other" | "missing" | "loop" | "denied" | "error";

export interface FoundState {
  readonly kind: "state";
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeMs: number;
  /** Links only. */
  readonly target?: string | undefined;
  readonly resolves?: Resolution | undefined;
}

export interface FoundEntry {
  readonly name: string;
  readonly type: FileType;
  readonly mtimeMs: number;
  readonly target?: string | undefined;
}

export interface Stranger {
  readonly path: string;
  readonly type: "file" | "directory";
  readonly uid: number;
  readonly gid: number;
}

export type Answer =
  | FoundState
  | { readonly kind: "absent" }
  | { readonly kind: "real"; readonly path: string }
  | { readonly kind: "entries"; readonly entries: readonly FoundEntry[] }
  | { readonly kind: "names"; readonly names: readonly string[] }
  | { readonly kind: "text"; readonly text: string; readonly mode: number }
  | {
      readonly kind: "access";
      readonly read: boolean;
      readonly write: boolean;
      readonly pass: boolean;
      /** The file system is read-only (EROFS), which stops root as well. */
      readonly readOnly: boolean;
    }
  | {
      readonly kind: "usage";
      readonly totalBytes: number;
      readonly availableBytes: number;
      readonly usedBytes: number;
      readonly usage: number;
      readonly inodeUsage: number | undefined;
    }
  | {
      readonly kind: "strangers";
      readonly found: readonly Stranger[];
      /** Files left out because they have more than one name. */
      readonly multipleNames: number;
      /** The limit was reached: there are more. */
      readonly truncated: boolean;
    }
  /** The system refused: errno name and text. */
  | { readonly kind: "error"; readonly errno: string; readonly text: string }
  /** Nobody answered in time: the mount hangs. */
  | { readonly kind: "unknown"; readonly mountpoint: string; readonly reason: string };
