// What the daemon itself ran into, as findings: they become alerts through the agent probe. A notice stands until it
// is taken back, or for its keep time where it tells of an event.

import type { Finding } from "./rule.ts";
import { formatLabels } from "./sample.ts";

/** Every name that a notice may have. */
export const noticeNames = [
  "HTTP_PORT_IN_USE",
  "SINK_FAILING",
  "LINK_REPAIRED",
  "LINK_REPAIR_LIMIT",
  "LINK_REPAIR_FAILED",
  "SETTINGS_NOT_RELOADED",
  "JOB_FAILED",
] as const;

export type NoticeName = (typeof noticeNames)[number];
export type Notice = Finding & { readonly name: NoticeName };

export interface Notices {
  /** States that stand. */
  set(notice: Notice): void;
  /** Takes back the notices of this name, or the one with these labels. */
  clear(name: NoticeName, labels?: Finding["labels"]): void;
  /** An event: reported once, its alert stays for the keep time of the finding. */
  tell(notice: Notice): void;
  /** What stands, and the events since the last call. */
  take(): readonly Finding[];
}

/** More is a mistake of ours or a host with bigger trouble. */
const maxNotices = 500;

export function createNotices(): Notices {
  const standing = new Map<string, Notice>();
  let events: Notice[] = [];
  const key = (name: string, labels: Finding["labels"]) => `${name} ${formatLabels(labels)}`;
  return {
    set(notice) {
      const id = key(notice.name, notice.labels);
      if (standing.has(id) || standing.size < maxNotices) standing.set(id, notice);
    },
    clear(name, labels) {
      if (labels !== undefined) standing.delete(key(name, labels));
      else
        for (const [id, notice] of standing) {
          if (notice.name === name) standing.delete(id);
        }
    },
    tell(notice) {
      events = [...events, notice].slice(-maxNotices);
    },
    take() {
      const taken = [...standing.values(), ...events];
      events = [];
      return taken;
    },
  };
}
