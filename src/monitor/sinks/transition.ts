// An alert transition as push and webhook tell it.

import { formatTime } from "../../core/index.ts";
import { alertEntry } from "../documents.ts";
import type { OutboxMessage, StoredTransition } from "../outbox.ts";

/** `id` is the same each time it is sent; `collapsed` counts transitions of this alert that were left out before it. */
export function transitionEntry(message: OutboxMessage) {
  const { id, transition } = JSON.parse(message.body) as StoredTransition;
  return {
    id,
    kind: transition.kind,
    at: formatTime(transition.atMs),
    collapsed: message.collapsed,
    alert: alertEntry(transition.alert),
  };
}

export type TransitionEntry = ReturnType<typeof transitionEntry>;
