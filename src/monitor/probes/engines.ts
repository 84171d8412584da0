// Probes that ask another engine: links (layout), models, backups. Each takes a small function that the composition
// root fills in; without one the probe says that it does not apply, never that all is well.

import type { BackupsData, LinksData, ModelsData } from "../data.ts";
import { defineProbe, type Probe } from "../probe.ts";
import type { ProbeData } from "../data.ts";
import type { Reading, Value } from "../sample.ts";

/** Asks an engine; null: it could not say (its reason is thrown or noted). */
export type EngineLook<Data> = (signal: AbortSignal) => Promise<Data | null>;

export interface EngineProbeOptions<Data> {
  readonly intervalS: number;
  /** Undefined: this host has no such engine (or it is switched off). */
  readonly look: EngineLook<Data> | undefined;
  readonly timeoutMs?: number | undefined;
}

function createEngineProbe<Name extends "links" | "models" | "backups">(
  name: Name,
  options: EngineProbeOptions<ProbeData[Name]>,
  read: (data: ProbeData[Name]) => Reading<ProbeData[Name]>,
): Probe<Name> {
  return defineProbe({
    name,
    intervalS: options.intervalS,
    timeoutMs: options.timeoutMs ?? 60_000,
    async run(signal) {
      if (options.look === undefined)
        return { state: "not_applicable", note: "not available here", data: null, values: [] };
      const data = await options.look(signal);
      if (data === null)
        return { state: "unknown", note: "could not be looked at", data: null, values: [] };
      return read(data);
    },
  });
}

/** Links: everything `links verify` checks. */
export function createLinksProbe(options: EngineProbeOptions<LinksData>): Probe<"links"> {
  return createEngineProbe("links", options, (data) => {
    const blocked = data.issues.filter((issue) => issue.state === "blocked");
    return {
      state: blocked.length > 0 ? "unknown" : "ok",
      ...(blocked.length === 0
        ? {}
        : {
            note: `${blocked.length} links lie on a storage root that is not mounted or does not answer`,
          }),
      data,
      values: [
        { series: "links", labels: {}, value: data.total },
        { series: "links_healthy", labels: {}, value: data.healthy },
      ],
    };
  });
}

/** Models: every directory whole, as `models verify --quick` sees it. */
export function createModelsProbe(options: EngineProbeOptions<ModelsData>): Probe<"models"> {
  return createEngineProbe("models", options, (data) => {
    const unknown = data.models.filter((model) => model.state === "unknown");
    return {
      state: unknown.length > 0 ? "unknown" : "ok",
      ...(unknown.length === 0
        ? {}
        : { note: unknown.map(({ key, problems }) => `${key}: ${problems[0] ?? "?"}`).join("; ") }),
      data,
      values: data.models.flatMap(({ key, state, sizeBytes }): Value[] => [
        { series: "model_damaged", labels: { model: key }, value: state === "damaged" ? 1 : 0 },
        ...(sizeBytes === null
          ? []
          : [{ series: "model_size_bytes", labels: { model: key }, value: sizeBytes }]),
      ]),
    };
  });
}

/** Backups: the catalog's word on snapshots, jobs and coverage. */
export function createBackupsProbe(options: EngineProbeOptions<BackupsData>): Probe<"backups"> {
  return createEngineProbe("backups", options, (data) => {
    if (data.sinceMs === null)
      return { state: "not_applicable", note: "backups are switched off", data: null, values: [] };
    const times: Value[] = [];
    if (data.lastCompleteMs !== null)
      times.push({
        series: "backup_last_complete_timestamp_seconds",
        labels: {},
        value: data.lastCompleteMs / 1000,
      });
    if (data.lastVerifiedMs !== null)
      times.push({
        series: "backup_last_verified_timestamp_seconds",
        labels: {},
        value: data.lastVerifiedMs / 1000,
      });
    if (data.coverage !== null)
      times.push(
        { series: "backup_verified_ratio", labels: {}, value: data.coverage.ratio },
        { series: "backup_verify_lag_seconds", labels: {}, value: data.coverage.lagS },
      );
    return {
      state: "ok",
      data,
      values: [
        { series: "backup_snapshots", labels: {}, value: data.snapshots },
        { series: "backup_damaged_snapshots", labels: {}, value: data.damaged.length },
        { series: "backup_failed_jobs", labels: {}, value: data.failedJobs.length },
        ...times,
      ],
    };
  });
}
