// The registry of documents. A new one: `src/schemas/<name>.ts` exports `schema = document("<name>", …)`; one line here.

import type { JsonSchema } from "./define.ts";

const documents: Readonly<Record<string, () => Promise<{ readonly schema: JsonSchema }>>> = {
  "alert-ack": () => import("./alert-ack.ts"),
  "alert-silence": () => import("./alert-silence.ts"),
  alerts: () => import("./alerts.ts"),
  "backup-cleanup": () => import("./backup-cleanup.ts"),
  "backup-verify-plan": () => import("./backup-verify-plan.ts"),
  "backup-create-plan": () => import("./backup-create-plan.ts"),
  "backup-create": () => import("./backup-create.ts"),
  "backup-list": () => import("./backup-list.ts"),
  "backup-repair": () => import("./backup-repair.ts"),
  "backup-restore": () => import("./backup-restore.ts"),
  "backup-restore-plan": () => import("./backup-restore-plan.ts"),
  "backup-run-due": () => import("./backup-run-due.ts"),
  "backup-schedule": () => import("./backup-schedule.ts"),
  "backup-schedule-next": () => import("./backup-schedule-next.ts"),
  "backup-archive-logs": () => import("./backup-archive-logs.ts"),
  "backup-diff": () => import("./backup-diff.ts"),
  "backup-status": () => import("./backup-status.ts"),
  "backup-verify": () => import("./backup-verify.ts"),
  completion: () => import("./completion.ts"),
  "config-check": () => import("./config-check.ts"),
  "config-example": () => import("./config-example.ts"),
  config: () => import("./config.ts"),
  "dirs-verify": () => import("./dirs-verify.ts"),
  doctor: () => import("./doctor.ts"),
  env: () => import("./env.ts"),
  error: () => import("./error.ts"),
  explain: () => import("./explain.ts"),
  health: () => import("./health.ts"),
  help: () => import("./help.ts"),
  history: () => import("./history.ts"),
  incident: () => import("./incident.ts"),
  "links-list": () => import("./links-list.ts"),
  "links-verify": () => import("./links-verify.ts"),
  perf: () => import("./perf.ts"),
  "models-verify": () => import("./models-verify.ts"),
  metrics: () => import("./metrics.ts"),
  "monitor-smart": () => import("./monitor-smart.ts"),
  "service-status": () => import("./service-status.ts"),
  "monitor-stop": () => import("./monitor-stop.ts"),
  plan: () => import("./plan.ts"),
  "prereq-verify": () => import("./prereq-verify.ts"),
  selftest: () => import("./selftest.ts"),
  schema: () => import("./schema.ts"),
  setup: () => import("./setup.ts"),
  status: () => import("./status.ts"),
  "tune-plan": () => import("./tune-plan.ts"),
  "tune-rollback": () => import("./tune-rollback.ts"),
  "tune-status": () => import("./tune-status.ts"),
  validate: () => import("./validate.ts"),
  version: () => import("./version.ts"),
};

/** The names of all documents, sorted. */
export function listSchemas(): string[] {
  return Object.keys(documents).sort();
}

/** @returns undefined for a name that no document has */
export async function loadSchema(name: string): Promise<JsonSchema | undefined> {
  const load = Object.hasOwn(documents, name) ? documents[name] : undefined;
  return load === undefined ? undefined : (await load()).schema;
}
