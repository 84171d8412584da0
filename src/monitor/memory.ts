// What probes remember between runs and restarts: disks and GPUs seen, services that once answered, places in the
// kernel log. Kept in history.db (history.ts); a one-shot command forgets it.

export interface Memory {
  /** The value last written under `key`; undefined where there is none or it cannot be read. */
  read(key: string): unknown;
  /** Best effort: a memory that cannot be written never fails a probe. */
  write(key: string, value: unknown): void;
}

/** A memory that lasts as long as the process. */
export function createVolatileMemory(initial: Readonly<Record<string, unknown>> = {}): Memory {
  const values = new Map<string, unknown>(Object.entries(initial));
  return {
    read: (key) => values.get(key),
    write: (key, value) => {
      values.set(key, value);
    },
  };
}

/** Reads through to `base`, keeps writes to itself: for commands that only look. */
export function readOnlyMemory(base: Memory): Memory {
  const own = createVolatileMemory();
  return {
    read: (key) => own.read(key) ?? base.read(key),
    write: (key, value) => {
      own.write(key, value);
    },
  };
}

/**
 * Which known things are gone. As many present as known: something was replaced, nothing vanished.
 * @param known identities seen before @param present identities seen now
 */
export function vanishedOf(known: readonly string[], present: readonly string[]): string[] {
  if (present.length >= known.length) return [];
  const now = new Set(present);
  return known.filter((identity) => !now.has(identity));
}
