// What a change works with while it holds the lock: the journal that can be written, its view, the handles, and
// what was recovered on the way in.

import { CitadelError, joinPath, type AbsolutePath } from "../core/index.ts";
import type { Clock } from "../system/index.ts";
import { DirectoryTree } from "../system/directory-tree.ts";
import { isLockHeld } from "../system/lock.ts";
import { createStepContext } from "./context.ts";
import { mergeFallback, openFallback } from "./fallback.ts";
import { journalName, JournalView, openJournalView } from "./journal-view.ts";
import { openJournal, type Journal } from "./journal.ts";
import { recoverJournal, recoverReadOnly, type Recovered } from "./recover.ts";

export interface SessionOptions {
  readonly root: AbsolutePath;
  readonly stateDir: AbsolutePath;
  readonly runtimeDir: AbsolutePath;
  readonly clock: Clock;
  readonly reserveBytes?: number | undefined;
}

export class Session implements Disposable {
  readonly tree: DirectoryTree;
  recovered: readonly Recovered[] = [];
  readonly #closers: Disposable[] = [];

  constructor(
    readonly options: SessionOptions,
    public journal: Journal,
    /** Why the real journal is not used. */
    public fallbackCause: unknown,
    readonly view: JournalView,
  ) {
    this.tree = new DirectoryTree(options.root);
  }

  /** Goes on with another journal. */
  adopt(journal: Journal, cause: unknown): void {
    this.#closers.push(this.journal);
    this.journal = journal;
    this.fallbackCause = cause;
  }

  closeWith(other: Disposable): void {
    this.#closers.push(other);
  }

  content(sha256: string): Uint8Array {
    return this.view.content(sha256) ?? this.journal.content(sha256);
  }

  [Symbol.dispose](): void {
    this.tree[Symbol.dispose]();
    this.journal.close();
    for (const closer of this.#closers) closer[Symbol.dispose]();
  }
}

/** Opens the journal (or the fallback), merges, recovers. The caller holds the lock. */
export function openSession(options: SessionOptions): Session {
  const session = openJournals(options);
  try {
    const contextFor = (token: string) => createStepContext(session, token, {});
    const { journal } = session;
    session.recovered = journal.fallback
      ? [
          ...recoverReadOnly({ view: session.view, fallback: journal, contextFor }),
          ...recoverJournal({ journal, contextFor, clock: options.clock }),
        ]
      : recoverJournal({ journal, contextFor, clock: options.clock });
    return session;
  } catch (thrown) {
    session[Symbol.dispose]();
    throw thrown;
  }
}

function openJournals(options: SessionOptions): Session {
  let journal: Journal | undefined;
  try {
    journal = openJournal({
      path: joinPath(options.stateDir, journalName),
      fallback: false,
      clock: options.clock,
      reserveBytes: options.reserveBytes,
      beforeMigration: () => assertNoDaemon(options.runtimeDir),
    });
    mergeFallback(options, journal);
    return new Session(options, journal, undefined, new JournalView([journal.database], undefined));
  } catch (thrown) {
    journal?.close();
    const fallback = openFallback(options, thrown);
    const view = openJournalView(options);
    const session = new Session(options, fallback, thrown, view);
    session.closeWith(view);
    return session;
  }
}

/** A running daemon of the older version would go on writing the older tables. */
function assertNoDaemon(runtimeDir: AbsolutePath): void {
  if (!isLockHeld(runtimeDir, "daemon")) return;
  throw new CitadelError({
    kind: "locked",
    code: "DAEMON_TOO_OLD",
    message: "the journal must be migrated, and an older citadel-agent monitor is running",
    hint: "restart it with the new binary: `citadel-agent service install --now` or `systemctl restart citadel-agent`",
    retry: "later",
  });
}
