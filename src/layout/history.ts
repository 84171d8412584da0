// What the layout needs to know of former generations. `app/layout.ts` fills it from the transaction engine's state.

import type { AbsolutePath } from "../core/index.ts";

export interface LayoutHistory {
  /** Targets that a generation wrote at this path: a link with one of them is ours. */
  ownedTargets(path: AbsolutePath): ReadonlySet<string>;
  /** SHA-256 of the contents that a generation wrote at this path. */
  writtenHashes(path: AbsolutePath): ReadonlySet<string>;
  /** Every path at which a generation made a link. */
  readonly linkPaths: readonly AbsolutePath[];
  /** When the transaction that is open now began; undefined when none is. */
  readonly pendingSinceMs: number | undefined;
}

export const noHistory: LayoutHistory = {
  ownedTargets: () => new Set(),
  writtenHashes: () => new Set(),
  linkPaths: [],
  pendingSinceMs: undefined,
};
