// The status that the daemon leaves in /run/citadel-agent/status.json for those who may not look for themselves.
// It counts only while it is fresh and its writer lives: an old status is no status.

import type { WrittenStatus } from "./document.ts";

/** The daemon writes once per interval; one missed turn is forgiven. */
const staleAfterIntervals = 2;

export type DaemonStatus =
  | { readonly state: "fresh"; readonly status: WrittenStatus }
  | { readonly state: "stale"; readonly time: string; readonly reason: string }
  | { readonly state: "absent" };

export interface DaemonFileInputs {
  readonly text: string | undefined;
  readonly nowMs: number;
  readonly isAlive: (pid: number) => boolean;
}

/** Judges the file's text. */
export function judgeDaemonFile({ text, nowMs, isAlive }: DaemonFileInputs): DaemonStatus {
  if (text === undefined) return { state: "absent" };
  const status = parse(text);
  if (status === undefined) {
    return { state: "stale", time: "", reason: "the daemon's status cannot be read" };
  }
  const { time, agent } = status;
  const ageMs = nowMs - Date.parse(time);
  const limitMs = (agent.interval_s ?? 0) * 1000 * staleAfterIntervals;
  if (agent.pid === null || !isAlive(agent.pid)) {
    return { state: "stale", time, reason: "the daemon does not run" };
  }
  // A clock that was set back makes the file look like one from the future: no more to be trusted than an old one.
  if (!(Math.abs(ageMs) <= limitMs)) {
    return { state: "stale", time, reason: "the daemon has not written its status since" };
  }
  return { state: "fresh", status };
}

function parse(text: string): WrittenStatus | undefined {
  try {
    const value = JSON.parse(text) as Partial<WrittenStatus>;
    const looksRight =
      value.schema === "citadel.status/1" &&
      typeof value.time === "string" &&
      Array.isArray(value.storage) &&
      typeof value.agent === "object" &&
      value.agent !== null;
    return looksRight ? (value as WrittenStatus) : undefined;
  } catch {
    return undefined;
  }
}
