// The outbox's stand-in while the database cannot be written: transitions and the newest status, in memory, for the
// sinks that can be reached all the same. What a sink took from here is not written for it again later.

import type { AlertTransition } from "./alert.ts";
import type { OutboxMessage, StoredTransition } from "./outbox.ts";

export interface Backlog {
  readonly isEmpty: boolean;
  add(transitions: readonly AlertTransition[]): void;
  setStatus(sink: string, body: string, atMs: number): void;
  head(sink: string, limit: number): OutboxMessage[];
  /** Whether an id is of a message here, not of one in the database. */
  holds(id: number): boolean;
  remove(sink: string, upToId: number): void;
  waiting(sinks: readonly string[]): Record<string, number>;
  /** Transitions with the sinks that have not taken them. */
  transitions(
    sinks: readonly string[],
  ): { readonly transition: AlertTransition; readonly sinksLeft: readonly string[] }[];
  clear(): void;
}

/** Ids of the database are far below. */
const firstId = 2 ** 50;
const maxEntries = 10_000;

interface Entry {
  readonly id: number;
  readonly transition: AlertTransition;
  readonly takenBy: Set<string>;
}

export function createBacklog(): Backlog {
  let entries: Entry[] = [];
  let nextId = firstId;
  const statuses = new Map<string, OutboxMessage>();
  const left = (sink: string) => entries.filter(({ takenBy }) => !takenBy.has(sink));
  return {
    get isEmpty() {
      return entries.length === 0;
    },
    add(transitions) {
      const fresh = transitions.map((transition) => {
        nextId += 1;
        return { id: nextId, transition, takenBy: new Set<string>() };
      });
      entries = [...entries, ...fresh].slice(-maxEntries);
    },
    setStatus(sink, body, atMs) {
      nextId += 1;
      statuses.set(sink, { id: nextId, kind: "status", atMs, collapsed: 0, body });
    },
    head(sink, limit) {
      const status = statuses.get(sink);
      const messages = left(sink).map(toMessage);
      return [...messages, ...(status === undefined ? [] : [status])]
        .sort((a, b) => a.id - b.id)
        .slice(0, limit);
    },
    holds: (id) => id >= firstId,
    remove(sink, upToId) {
      for (const entry of entries) if (entry.id <= upToId) entry.takenBy.add(sink);
      if ((statuses.get(sink)?.id ?? Number.POSITIVE_INFINITY) <= upToId) statuses.delete(sink);
    },
    waiting: (sinks) =>
      Object.fromEntries(
        sinks.map((sink) => [sink, left(sink).length + (statuses.has(sink) ? 1 : 0)]),
      ),
    transitions: (sinks) =>
      entries.map(({ transition, takenBy }) => ({
        transition,
        sinksLeft: sinks.filter((sink) => !takenBy.has(sink)),
      })),
    clear() {
      entries = [];
      statuses.clear();
    },
  };
}

function toMessage({ id, transition }: Entry): OutboxMessage {
  const { alert, kind, atMs } = transition;
  const stored: StoredTransition = { id: `${alert.fingerprint}-${atMs}-${kind}`, transition };
  return { id, kind: "alert", atMs, collapsed: 0, body: JSON.stringify(stored) };
}
