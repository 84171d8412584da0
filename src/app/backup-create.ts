// `backup create` from the app: which source, where to, under which lock, with what the settings say; then the check
// of what was made. `app/backup.ts` opens the rest of the backup engine.

import { isUtf8 } from "node:buffer";
import type { CreateOptions, CreateProgress, CreateReport } from "../backup/create/options.ts";
import { createSnapshot } from "../backup/create/create-snapshot.ts";
import { planSnapshot, type SnapshotPlan } from "../backup/create/plan-snapshot.ts";
import { checkMounts } from "../backup/create/source.ts";
import {
  areaDirectories,
  slugOf,
  type SnapshotArea,
  type SnapshotKind,
} from "../backup/format/index.ts";
import { readSnapshot } from "../backup/repository.ts";
import type { VerifyReport } from "../backup/verify/report.ts";
import {
  CitadelError,
  counted,
  ExitCode,
  isWithin,
  joinPath,
  normalizePath,
  type AbsolutePath,
} from "../core/index.ts";
import { fromErrno, realpath, realpathBytes } from "../system/index.ts";
import { acquireLock } from "../system/lock.ts";
import { version } from "../version.ts";
import { reservePath } from "../backup/cleanup.ts";
import { sha256Hex } from "../system/digest.ts";
import { keepReserve } from "../system/reserve-file.ts";
import type { App } from "./app.ts";
import { readKnownDamage } from "./backup-knowledge.ts";
import { requiresMounts } from "./backup-mounts.ts";
import { backupPlaces, recordJob, verifyAndRecord } from "./backup-repository.ts";
import { statePlaces } from "./state-places.ts";

export interface CreateRequest {
  /** Host path; default: the active models. */
  readonly source?: string | undefined;
  readonly type?: SnapshotKind | undefined;
  readonly tags?: readonly string[] | undefined;
  /** Store everything as it is, under `data/`. */
  readonly plain?: boolean | undefined;
  /** `source` as it was typed, where that is not UTF-8. */
  readonly sourceBytes?: Buffer | undefined;
  readonly crossFileSystems?: boolean | undefined;
  readonly acceptShrink?: boolean | undefined;
  /** False: no check afterwards, whatever the settings say. */
  readonly verify?: boolean | undefined;
  readonly lockTimeoutMs: number;
  /** For whoever waits for the lock. */
  readonly command: string;
}

export interface CreateContext {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: CreateProgress) => void;
}

export interface CreateOutcome {
  readonly report: CreateReport;
  /** What the check found; undefined where none was asked for. */
  readonly verification: VerifyReport | undefined;
}

/** Makes a snapshot of models and checks it. @throws kinds of createSnapshot; `locked` (exit 5) */
export async function createBackup(
  app: App,
  request: CreateRequest,
  context: CreateContext,
): Promise<CreateOutcome> {
  const { hostPaths } = app.system;
  const { paths, backup } = app.settings;
  return recordJob(
    app,
    {
      kind: "create",
      source: hostPaths.real(request.source ?? paths.models_active),
      destination: hostPaths.real(paths.backup_root),
      type: request.type ?? (backup.incremental_backup ? "incremental" : "full"),
      tags: request.tags,
      isQueued: true,
    },
    async (begin) => {
      const options = toCreateOptions(app, request);
      using _lock = await lockSource(app, options.sourcePath, request, context.signal);
      begin();
      const known = readKnownDamage(backupPlaces(app));
      const made = await createSnapshot(
        { ...options, knownDamage: known.damage },
        { system: app.system, ...context },
      );
      const check = { verify: request.verify, area: "models" } as const;
      const verification = await verifyCreated(app, made, check, context);
      const warnings = [
        ...misplaced(app),
        ...known.warnings,
        ...made.warnings,
        ...(verification?.remarks ?? []),
      ];
      const report = { ...made, warnings };
      keepReserve(reservePath(options.repositoryPath), backup.reserve_bytes);
      return { report, verification };
    },
    ({ report, verification }) => ({
      snapshot: report.snapshot,
      files: report.files,
      bytes: report.bytes,
      newBytes: report.copied_bytes,
      checksum: report.manifest_sha256,
      failure: failureOfCheck(verification),
    }),
  );
}

/** What the job ends with when what it made is not sound. */
export function failureOfCheck(verification: VerifyReport | undefined) {
  if (verification === undefined || verification.valid) return undefined;
  const message = `${counted(verification.filesFailed, "file")} failed the check`;
  return { code: "BACKUP_DAMAGED", message };
}

/** What a command that made this one snapshot ends with. */
export function exitCodeOfBackup({ report, verification }: CreateOutcome): ExitCode {
  if (verification !== undefined && !verification.valid) return ExitCode.findings;
  return report.skipped_total > 0 ? ExitCode.partial : ExitCode.success;
}

/** What `createBackup` would do; changes nothing, not even the catalogue. @throws kinds of planSnapshot */
export async function planBackup(
  app: App,
  request: Omit<CreateRequest, "lockTimeoutMs" | "command">,
  signal: AbortSignal,
): Promise<SnapshotPlan> {
  const known = readKnownDamage(backupPlaces(app));
  const options = { ...toCreateOptions(app, request), knownDamage: known.damage };
  const plan = await planSnapshot(options, app.system, signal);
  return { ...plan, warnings: [...misplaced(app), ...known.warnings, ...plan.warnings] };
}

/** Says where snapshots lie when a setting that only makes a directory looks as if it decided that. */
function misplaced({ settings }: App): string[] {
  const { backup_models: named, backup_root: root } = settings.paths;
  const place = joinPath(root, areaDirectories.models);
  if (named === place) return [];
  return [
    `CITADEL_BACKUP_MODELS names ${named}, but snapshots lie in ${place}: CITADEL_BACKUP_ROOT moves them`,
  ];
}

/** Two plans with one hash do the same, as far as looking tells. */
export function backupPlanHash(plan: SnapshotPlan): string {
  const { available_bytes: _, warnings: __, ...judged } = plan;
  return sha256Hex(Buffer.from(JSON.stringify(judged)));
}

function toCreateOptions(
  app: App,
  request: Omit<CreateRequest, "lockTimeoutMs" | "command">,
): CreateOptions {
  const { settings, system } = app;
  const { backup, paths } = settings;
  const { hostPaths } = system;
  const active = realpathBytes(Buffer.from(hostPaths.real(paths.models_active)));
  const typed = request.sourceBytes ?? Buffer.from(request.source ?? paths.models_active);
  const source = resolvedBytes(app, typed);
  const sourcePath = source.toString() as AbsolutePath;
  const repositoryPath = hostPaths.real(paths.backup_root);
  const modelsRoot = hostPaths.real(paths.models_root);
  const isModels = isWithin(sourcePath, resolved(modelsRoot) ?? modelsRoot);
  const needsMounts = requiresMounts(app);
  const isPlain = request.plain === true || !backup.compress_backups;
  const algorithm = backup.checksum_algorithm;
  const hostPath = hostPaths.host(sourcePath);
  return {
    sourcePath,
    ...(isUtf8(source) ? {} : bytesOfSource(source, hostPaths)),
    sourceName: hostPath,
    // below --root without its mounts the path on the host is what a source is known by
    ...(hostPaths.proc === undefined ? { sourceIdentity: `path=${hostPath}` } : {}),
    repositoryPath: resolved(repositoryPath) ?? repositoryPath,
    area: "models",
    type: request.type ?? (backup.incremental_backup ? "incremental" : "full"),
    tags: request.tags ?? [],
    jobs: backup.parallel_jobs,
    compression: isPlain
      ? null
      : { method: backup.compression_algorithm, level: backup.compression_level },
    deduplicate: backup.deduplication_enabled,
    extraChecksums: algorithm === "sha256" ? [] : [algorithm],
    crossFileSystems: request.crossFileSystems ?? false,
    acceptShrink: request.acceptShrink ?? false,
    mustBeMounted: needsMounts ? [repositoryPath, ...(isModels ? [modelsRoot] : [])] : [],
    reserveBytes: backup.reserve_bytes,
    limitBytesPerSecond: backup.io_limit,
    attempts: backup.max_retry_attempts,
    retryDelayMs: backup.retry_delay_seconds * 1000,
    updateLatest: active?.equals(source) === true,
    settings: {
      compress_backups: !isPlain,
      compression_algorithm: backup.compression_algorithm,
      compression_level: backup.compression_level,
      deduplication_enabled: backup.deduplication_enabled,
      checksum_algorithm: algorithm,
      parallel_jobs: backup.parallel_jobs,
    },
    tool: toolOfThisBuild(),
  };
}

export function toolOfThisBuild(): CreateOptions["tool"] {
  const { version: number, commit } = version();
  return { name: "citadel-agent", version: number, commit };
}

function resolved(path: string): AbsolutePath | undefined {
  return realpath(path) as AbsolutePath | undefined;
}

/** The real and the host path of a source whose name is no text. */
function bytesOfSource(source: Buffer, { relocated, root }: App["system"]["hostPaths"]) {
  const below = relocated ? Buffer.byteLength(root) : 0;
  return { sourceBytes: source.toString("latin1"), sourceNameBytes: source.subarray(below) };
}

/** Where a source really lies. @param typed absolute, as on the host @throws kinds `not-found`, `not-mounted` */
function resolvedBytes(app: App, typed: Buffer): Buffer {
  const { hostPaths } = app.system;
  let path = typed;
  if (isUtf8(typed)) path = Buffer.from(hostPaths.real(typed.toString()));
  else if (hostPaths.relocated) {
    const text = typed.toString("latin1");
    const root = Buffer.from(hostPaths.root).toString("latin1");
    if (!isWithin(normalizePath(text), root)) {
      path = Buffer.from(root + normalizePath(text), "latin1");
    }
  }
  return realpathBytes(path) ?? missing(app, path.toString());
}

/** An empty mountpoint holds no source either: then the disk is what is missing. */
function missing(app: App, path: string): never {
  const modelsRoot = app.system.hostPaths.real(app.settings.paths.models_root);
  if (requiresMounts(app) && isWithin(normalizePath(path), modelsRoot)) {
    checkMounts([modelsRoot], app.system);
  }
  throw new CitadelError({
    kind: "not-found",
    code: "SOURCE_MISSING",
    message: `no source ${path}`,
    path,
    hint: "name a directory, or set CITADEL_MODELS_ACTIVE to one",
    cause: fromErrno(new Error("ENOENT"), "realpath", path),
  });
}

/** One backup of a source at a time, whatever its name. */
export function lockSource(
  { system, settings }: App,
  source: AbsolutePath,
  request: Pick<CreateRequest, "lockTimeoutMs" | "command">,
  signal: AbortSignal,
) {
  const places = statePlaces(system, settings.agent.state_dir);
  const digest = new Bun.CryptoHasher("sha256").update(source).digest("hex").slice(0, 16);
  return acquireLock({
    directory: places.runtimeDir,
    domain: `backup-${slugOf(system.hostPaths.host(source)).slice(-40)}-${digest}`,
    command: request.command,
    timeoutMs: request.lockTimeoutMs,
    clock: system.clock,
    signal,
  });
}

/** The check of a snapshot that was just made, by the settings. @returns undefined where none is wanted */
export async function verifyCreated(
  app: App,
  report: CreateReport,
  { verify, area }: Pick<CreateRequest, "verify"> & { readonly area: SnapshotArea },
  { signal, onProgress }: CreateContext,
): Promise<VerifyReport | undefined> {
  if (!(verify ?? app.settings.backup.verify_backups)) return undefined;
  const snapshot = readSnapshot(report.directory, area);
  if (snapshot === undefined) {
    throw new CitadelError({
      kind: "integrity",
      code: "SNAPSHOT_VANISHED",
      message: `snapshot ${report.snapshot} is not there any more`,
      path: joinPath(report.directory),
      hint: "see who removes things below the backup root, then run the backup again",
    });
  }
  return verifyAndRecord(
    app,
    snapshot,
    {
      mode: "quick",
      cached: false,
      sampleRate: app.settings.backup.verification_sample_rate,
      seed: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
      rotate: false,
      isPart: true,
    },
    {
      signal,
      onProgress: ({ doneBytes, totalBytes, current }) =>
        onProgress({ activity: "verifying", doneBytes, totalBytes, current }),
    },
  );
}
