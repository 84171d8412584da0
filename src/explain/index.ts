// Every code that an error, a conflict or an alert may carry. A new area: a file that exports
// `explanations: Explanations`, and one line in `areas`.

import type { Explanation, Explanations } from "./define.ts";

const areas: Readonly<Record<string, () => Promise<{ readonly explanations: Explanations }>>> = {
  "alerts-host": () => import("./alerts-host.ts"),
  "alerts-storage": () => import("./alerts-storage.ts"),
  backup_create: () => import("./backup-create.ts"),
  backup: () => import("./backup.ts"),
  cli: () => import("./cli.ts"),
  core: () => import("./core.ts"),
  incident: () => import("./incident.ts"),
  monitor_daemon: () => import("./monitor-daemon.ts"),
  layout: () => import("./layout.ts"),
  host: () => import("./host.ts"),
  models: () => import("./models.ts"),
  settings: () => import("./settings.ts"),
  system: () => import("./system.ts"),
  transaction: () => import("./transaction.ts"),
};

export interface FullExplanation extends Explanation {
  readonly code: string;
  readonly area: string;
}

/** All codes, sorted. Two areas may not explain the same code differently: the first in `areas` wins. */
export async function loadExplanations(): Promise<ReadonlyMap<string, FullExplanation>> {
  const all = new Map<string, FullExplanation>();
  for (const [area, load] of Object.entries(areas)) {
    for (const [code, explanation] of Object.entries((await load()).explanations)) {
      if (!all.has(code)) all.set(code, { code, area, ...explanation });
    }
  }
  return new Map([...all].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export type { Explanation, Explanations } from "./define.ts";
