// The status document: what is known of this host now, from the samples of the daemon or of one look. Pure.

import { formatTime } from "../core/index.ts";
import type { Alert } from "../monitor/alert.ts";
import {
  alertEntry,
  backupsSection,
  findingEntry,
  linksSection,
  modelsSection,
  smartDisks,
  storageSection,
  type Source,
} from "../monitor/documents.ts";
import { worseState, type Sample, type Samples, type SampleState } from "../monitor/sample.ts";
import type { PendingTransaction } from "../transaction/index.ts";

export interface StatusInputs {
  readonly samples: Samples;
  /** Worst of the samples. */
  readonly overall: SampleState;
  /** Pending and firing alerts of the daemon; pending ones are not shown. */
  readonly alerts: readonly Alert[];
  readonly pending: PendingTransaction | null;
  readonly agent: {
    readonly version: string;
    /** Null when no daemon runs. */
    readonly pid: number | null;
    readonly uptimeS: number | null;
  };
  readonly source: Source;
  /** Distance of two looks of the daemon; null for a single look. */
  readonly intervalS: number | null;
}

/** `status --json`, and /run/citadel-agent/status.json. */
export function createStatusDocument(inputs: StatusInputs) {
  const { samples, source, pending } = inputs;
  const taken = Object.values(samples).filter((sample) => sample !== undefined) as Sample[];
  const firing = inputs.alerts.filter(({ state }) => state === "firing");
  let { overall } = inputs;
  for (const { severity } of firing) overall = worseState(overall, severity);
  // The host is between two states until somebody runs `repair`: nothing to sleep over, nothing to call ok.
  if (pending !== null) overall = worseState(overall, "warning");
  return {
    overall,
    storage: storageSection(samples, source),
    links: linksSection(samples, source),
    models: modelsSection(samples, source),
    smart: smartDisks(samples, source),
    backups: backupsSection(samples, source),
    alerts: firing.map(alertEntry),
    findings: taken.flatMap(({ findings }) => findings).map(findingEntry),
    pending_transaction: pending,
    agent: {
      version: inputs.agent.version,
      pid: inputs.agent.pid,
      uptime_s: inputs.agent.uptimeS,
      interval_s: inputs.intervalS,
    },
    // When and how each section was measured, also of those that have nothing to list.
    sections: Object.fromEntries(
      taken.map(({ probe, state, measuredAtMs, note }) => [
        probe,
        { state, measured_at: formatTime(measuredAtMs), source, note: note ?? null },
      ]),
    ),
  };
}

export type StatusDocument = ReturnType<typeof createStatusDocument>;

/** As it lies in /run/citadel-agent/status.json. */
export type WrittenStatus = StatusDocument & {
  readonly schema: string;
  readonly host: string;
  readonly time: string;
};
