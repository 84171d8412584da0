// Rolling verification from the app: the budget of the settings, the idle classes, the record. The daemon starts
// `backup verify --rolling` as a process of its own and reads the coverage from here.

import { listSnapshots } from "../backup/repository.ts";
import {
  sliceBytes,
  surveyCoverage,
  verifyRolling,
  type Coverage,
  type RollingOptions,
  type RollingReport,
} from "../backup/verify/rolling.ts";
import { CitadelError, joinPath } from "../core/index.ts";
import { setIdleIoClass } from "../system/native-files.ts";
import type { App } from "./app.ts";
import { assertBackupMounted } from "./backup-mounts.ts";
import { backupPlaces, lookIntoCatalog, recordJob, tryCatalog } from "./backup-repository.ts";

const mebibyte = 1024 * 1024;
/** Without a limit in the settings a slice reads at this pace: fast enough for 60 TB in 7 days. */
const defaultBytesPerSecond = 400 * mebibyte;
const maxDurationMs = 6 * 3_600_000;
const dayMs = 86_400_000;

export function rollingOptions(app: App): RollingOptions {
  const { io_limit, verify_every_days } = app.settings.backup;
  return {
    everyDays: verify_every_days,
    bytesPerSecond: io_limit === 0 ? defaultBytesPerSecond : io_limit,
    maxDurationMs,
    maxPressureRatio: 0.3,
    cores: navigator.hardwareConcurrency,
  };
}

/** What the last slice found; undefined before the first. */
export function readCoverage(app: App): Coverage | undefined {
  const { catalog } = lookIntoCatalog(backupPlaces(app));
  using opened = catalog;
  const text = opened?.fact("coverage");
  return text === undefined ? undefined : (JSON.parse(text) as Coverage);
}

/** When the last slice ended, in ms; 0 for never: for the daemon to see when the next one is due (daily). */
export function lastSliceMs(app: App): number {
  return Date.parse(readCoverage(app)?.measured_at ?? "") || 0;
}

/**
 * What the next slice would read, and what is proved by now; undefined without a catalogue.
 * @throws kind `unavailable`: there is one, and it cannot be read
 */
export function planRolling(app: App): { coverage: Coverage; bytes: number } | undefined {
  const places = backupPlaces(app);
  const { catalog, why, isMissing } = lookIntoCatalog(places);
  using opened = catalog;
  if (opened === undefined && isMissing !== true) throw noCatalog(why);
  if (opened === undefined) return undefined;
  const snapshots = listSnapshots(places.backupRoot);
  const context = { clock: app.system.clock, catalog: opened, snapshots };
  const { everyDays } = rollingOptions(app);
  const { coverage } = surveyCoverage(context, everyDays);
  return { coverage, bytes: sliceBytes(coverage.bytes_total, everyDays, elapsedDaysOf(app)) };
}

function noCatalog(why: string | undefined): CitadelError {
  return new CitadelError({
    kind: "unavailable",
    code: "CATALOG_UNAVAILABLE",
    message: `rolling verification needs the catalogue: ${why ?? "it cannot be opened"}`,
    hint: "free space or mend the state directory; `citadel-agent doctor` says more",
  });
}

/** Days since the last slice: a missed one is made up, but never more than one. */
function elapsedDaysOf(app: App): number {
  const lastMs = lastSliceMs(app);
  const days = (app.system.clock.nowMs() - lastMs) / dayMs;
  return lastMs === 0 ? 1 : Math.min(2, Math.max(0.05, days));
}

/** Verifies one day's slice. @throws kind of the catalogue's error: without one nothing could be credited */
export async function runRolling(app: App, signal: AbortSignal): Promise<RollingReport> {
  setIdleIoClass(); // before any worker: threads inherit it
  const places = backupPlaces(app);
  const { catalog, remark } = tryCatalog(places);
  using opened = catalog;
  if (opened === undefined) {
    throw noCatalog(remark);
  }
  const { clock, hostPaths } = app.system;
  const elapsedDays = elapsedDaysOf(app);
  const pressurePath =
    hostPaths.proc === undefined ? undefined : joinPath(hostPaths.proc, "pressure/io");
  const snapshots = listSnapshots(places.backupRoot);
  const context = { clock, catalog: opened, snapshots, signal, pressurePath };
  // awaited here: `using` closes the catalogue when this function is left
  return await recordJob(
    app,
    { kind: "verify", destination: places.backupRoot, type: "rolling" },
    () => {
      assertBackupMounted(app); // nothing to be read is not all of it read
      return verifyRolling(rollingOptions(app), context, elapsedDays);
    },
    ({ bytesRead, reports }) => {
      const damaged = reports.filter(({ valid }) => !valid).map(({ snapshot }) => snapshot);
      const failure = { code: "BACKUP_DAMAGED", message: `damaged: ${damaged.join(", ")}` };
      return { bytes: bytesRead, failure: damaged.length === 0 ? undefined : failure };
    },
  );
}
