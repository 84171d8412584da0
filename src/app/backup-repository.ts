// Where the repository, its catalogue and its locks lie for whoever calls, and the running of verifications and
// restores with their records: what the commands and the daemon share.

import type { CatalogOptions, JobOutcome, NewJob } from "../backup/catalog/catalog.ts";
import { Catalog, knownSnapshot, openCatalog, readCatalog } from "../backup/catalog/catalog.ts";
import { contentKey, type ContentKey } from "../backup/catalog/content-key.ts";
import { InodeLedger } from "../backup/verify/inode-ledger.ts";
import {
  listSnapshots,
  ownSnapshots,
  resolveSnapshot,
  type FoundSnapshot,
  type Resolved,
  type Wanted,
} from "../backup/repository.ts";
import { chooseOldest } from "../backup/verify/sampling.ts";
import { readManifest } from "../backup/snapshot-reader.ts";
import { verifySnapshot, type VerifyContext, type VerifyOptions } from "../backup/verify/verify.ts";
import type { VerifyReport } from "../backup/verify/report.ts";
import {
  CitadelError,
  counted,
  formatTime,
  joinPath,
  nameOf,
  type AbsolutePath,
} from "../core/index.ts";
import { lstat, realpath, sha256Hex } from "../system/index.ts";
import { acquireLock, type Lock, type LockDomain } from "../system/lock.ts";
import { statExact } from "../system/native.ts";
import { survey } from "../system/survey/index.ts";
import { areaDirectories } from "../backup/format/index.ts";
import { fromText } from "../backup/format/byte-path.ts";
import { storedPath } from "../backup/format/manifest.ts";
import type { App } from "./app.ts";
import { damageFound } from "./backup-knowledge.ts";
import { explainUnknown } from "./backup-mounts.ts";
import { Recorder, unrecorded } from "./backup-recorder.ts";
import { statePlaces } from "./state-places.ts";

export interface BackupPlaces extends CatalogOptions {
  readonly runtimeDir: AbsolutePath;
  readonly isRoot: boolean;
  readonly cores: number;
}

export function backupPlaces(app: App): BackupPlaces {
  const { system, settings } = app;
  const { hostPaths, environment, clock } = system;
  const { stateDir, runtimeDir } = statePlaces(system, settings.agent.state_dir);
  return {
    stateDir,
    runtimeDir,
    backupRoot: hostPaths.real(settings.paths.backup_root),
    clock,
    user: environment.user,
    pid: environment.pid,
    isRoot: environment.isRoot,
    cores: navigator.hardwareConcurrency,
  };
}

/**
 * The active models, as the source of a snapshot may have been written down. Their disk may be the one that does not
 * answer any more: a child looks, and is not waited for for ever.
 */
export async function activeSources(app: App, signal: AbortSignal): Promise<string[]> {
  const { hostPaths } = app.system;
  const named = app.settings.paths.models_active;
  const active = hostPaths.real(named);
  const options = { signal, noteDir: hostPaths.runtimeDir };
  const [found] = await survey([{ kind: "real", path: active }], options);
  const sources = [active, named];
  if (found?.kind === "real") sources.push(found.path, hostPaths.host(found.path));
  else sources.push(...latestSource(backupPlaces(app).backupRoot));
  return [...new Set(sources)];
}

/**
 * What `latest` of the repository was made of: what the active models were, when nobody can say what they are. The
 * link counts only where it and what it leads to are ours: who owns the directory above could have it mean any source.
 */
export function latestSource(backupRoot: AbsolutePath): string[] {
  const link = joinPath(backupRoot, areaDirectories.models, "latest");
  try {
    const isOwnLink = lstat(link)?.uid === process.geteuid?.();
    const directory = realpath(link) ?? link;
    const all = listSnapshots(backupRoot);
    const own = ownSnapshots(all);
    const target = own.find(({ id }) => id === nameOf(directory));
    if (target === undefined || (!isOwnLink && all.some(({ isOwn }) => isOwn))) return [];
    if (target.record !== undefined) return [target.record.source];
    // its record is damaged: the source of the others of that short name, if they are of one
    const alike = own.filter(({ slug, area }) => slug === target.slug && area === target.area);
    const sources = new Set(alike.flatMap(({ record }) => record?.source ?? []));
    return sources.size === 1 ? [...sources] : [];
  } catch (thrown) {
    if (!(thrown instanceof CitadelError)) throw thrown;
    return [];
  }
}

/** Where the source of a snapshot lies, as paths are printed: below --root the real one. Configurations have a name only. */
export function realSource(
  app: App,
  { record }: Pick<FoundSnapshot, "record">,
): string | undefined {
  const source = record?.source;
  return source?.startsWith("/") === true ? app.system.hostPaths.real(source) : source;
}

/** A snapshot that was named, with what whoever named it has to be told. */
export interface NamedSnapshot {
  readonly snapshot: FoundSnapshot;
  readonly remarks: readonly string[];
}

/**
 * The snapshot that an argument names; a path is taken below --root.
 * @throws those of resolveSnapshot
 */
export async function findSnapshot(
  app: App,
  name: string,
  signal: AbortSignal,
  wanted: Wanted = "usable",
): Promise<NamedSnapshot> {
  const { backupRoot } = backupPlaces(app);
  const path = name.startsWith("/") ? app.system.hostPaths.real(name) : name;
  const mayBeLatest = /(?:^|\/)latest(?:_backup)?$/.test(path);
  const sources = mayBeLatest ? await activeSources(app, signal) : [];
  try {
    return named(app, resolveSnapshot(backupRoot, path, sources, wanted));
  } catch (thrown) {
    throw explainUnknown(app, thrown);
  }
}

/**
 * Says which newer snapshots were passed over (`latest` is never an older one without a word), and what a verification
 * found wrong with the one that is used.
 */
export function named(app: App, { snapshot, passedOver }: Resolved): NamedSnapshot {
  const remarks = passedOver.map(
    ({ id, state, why }) =>
      `${snapshot.id} is used: the newer ${id} ${state === "damaged" ? "is damaged" : "cannot be read"} (${why ?? state})`,
  );
  const found = damageFound(backupPlaces(app)).get(snapshot.id);
  if (found !== undefined) {
    const paths = counted(found.files_failed, "path was", "paths were");
    remarks.push(
      `${snapshot.id} is damaged: ${formatTime(found.at_ms)} ${paths} not as backed up; \`citadel-agent backup list\` shows others`,
    );
  }
  return { snapshot, remarks };
}

/** The catalogue for recording, or why there is none: a full or read-only state disk stops no verification. */
export function tryCatalog(places: BackupPlaces): { catalog?: Catalog; remark?: string } {
  try {
    const catalog = openCatalog(places);
    if (catalog.setAside === undefined) return { catalog };
    return { catalog, remark: `the catalogue was damaged: it is kept as ${catalog.setAside}` };
  } catch (thrown) {
    if (!(thrown instanceof CitadelError)) throw thrown;
    return { remark: unrecorded(thrown) };
  }
}

/** The same for a job: what fails later is no failure of the job either. */
export function openRecorder(places: BackupPlaces): Recorder {
  const { catalog, remark } = tryCatalog(places);
  return new Recorder(catalog, remark);
}

/** What the catalogue knows, for reading; undefined where there is none. */
export function lookIntoCatalog(places: BackupPlaces): ReturnType<typeof readCatalog> {
  return readCatalog(places);
}

/**
 * Takes the lock that keeps `cleanup` away from a snapshot. Where locks cannot be kept (a read-only host, a user
 * without rights) there is none: such a caller cannot clean up either.
 * @throws kind `locked` while the snapshot is being removed
 */
export async function lockSnapshot(
  app: App,
  id: string,
  command: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Lock | undefined> {
  return await lockIfPossible(app, `snapshot-${id}`, true, command, timeoutMs, signal);
}

/**
 * One repair at a time: it writes into every snapshot that shares what is damaged, and takes the temporaries that it
 * meets for those of a killed one.
 * @throws kind `locked`
 */
export async function lockRepair(
  app: App,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Lock | undefined> {
  return await lockIfPossible(app, "snapshot-repair", false, "backup repair", timeoutMs, signal);
}

/**
 * Keeps a second restore out of a tree that is being restored in place: each would take the other's temporaries for
 * those of a killed run. Where no lock can be made there is none.
 * @throws kind `locked`
 */
export async function lockRestoreTarget(
  app: App,
  target: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Lock | undefined> {
  const domain = `restore-${sha256Hex(target).slice(0, 16)}`;
  return await lockIfPossible(app, domain, false, "backup restore --in-place", timeoutMs, signal);
}

async function lockIfPossible(
  app: App,
  domain: string,
  shared: boolean,
  command: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Lock | undefined> {
  const { runtimeDir } = backupPlaces(app);
  try {
    const { clock } = app.system;
    return await acquireLock({
      directory: runtimeDir,
      domain: domain as LockDomain,
      command,
      timeoutMs,
      clock,
      signal,
      shared,
    });
  } catch (thrown) {
    if (!(thrown instanceof CitadelError)) throw thrown;
    if (thrown.kind === "locked" || thrown.kind === "cancelled") throw thrown;
    return undefined;
  }
}

interface Failure {
  readonly code: string;
  readonly message: string;
}

/**
 * Runs a job and records it, from its beginning (waiting) to its outcome, failures included; where the catalogue
 * cannot be written the job runs all the same.
 * @param run gets a function to call when a job that `isQueued` has its turn
 */
export async function recordJob<T>(
  app: App,
  job: NewJob & { readonly isQueued?: boolean },
  run: (begin: () => void) => Promise<T>,
  outcomeOf: (result: T) => JobOutcome & { failure?: Failure | undefined },
): Promise<T> {
  using recorder = openRecorder(backupPlaces(app));
  const state = job.isQueued === true ? "pending" : "running";
  const id = recorder.write((catalog) => catalog.startJob(job, state));
  const finish = (...[outcome, failure]: [JobOutcome, Failure?]) => {
    if (id !== undefined) recorder.write((catalog) => catalog.finishJob(id, outcome, failure));
    if (recorder.remark !== undefined) app.system.logger.log("warn", recorder.remark);
  };
  try {
    const result = await run(() => {
      if (id !== undefined) recorder.write((catalog) => catalog.beginJob(id));
    });
    const { failure, ...outcome } = outcomeOf(result);
    finish(outcome, failure);
    return result;
  } catch (thrown) {
    finish({}, failureOf(thrown));
    throw thrown;
  }
}

/** Collects what was verified and writes it in batches. */
class CoverageWriter {
  #pending: ContentKey[] = [];

  constructor(
    readonly recorder: Recorder,
    readonly nowMs: () => number,
  ) {}

  add(key: ContentKey): void {
    this.#pending.push(key);
    if (this.#pending.length >= 1000) this.flush();
  }

  flush(): void {
    const items = this.#pending;
    if (items.length > 0) this.recorder.write((to) => to.recordContent(items, this.nowMs()));
    this.#pending = [];
  }
}

export interface VerifyRun {
  readonly mode: "quick" | "full";
  readonly cached: boolean;
  readonly sampleRate: number;
  readonly seed: number;
  /** Take those verified longest ago instead of random ones. */
  readonly rotate: boolean;
  readonly ledger?: InodeLedger | undefined;
  /** Check, but write nothing down: `--dry-run`. */
  readonly unrecorded?: boolean | undefined;
  /** The check is part of another job: its result is recorded, a job of its own is not. */
  readonly isPart?: boolean | undefined;
}

/** Verifies one snapshot and records the result, as far as it can be recorded. */
export async function verifyAndRecord(
  app: App,
  snapshot: FoundSnapshot,
  run: VerifyRun,
  context: Pick<VerifyContext, "signal" | "onProgress" | "pace" | "checkers">,
): Promise<VerifyReport> {
  const places = backupPlaces(app);
  using recorder =
    run.unrecorded === true ? new Recorder(undefined, undefined) : openRecorder(places);
  const coverage = new CoverageWriter(recorder, () => places.clock.nowMs());
  const choice = run.rotate
    ? chooseOldest(lastVerified(snapshot, recorder.catalog), run.sampleRate)
    : undefined;
  const options: VerifyOptions = { ...run, choice, cores: places.cores };
  const { directory: destination } = snapshot;
  const source = realSource(app, snapshot);
  const about = knownSnapshot(snapshot);
  const job =
    run.isPart === true
      ? undefined
      : recorder.write((catalog) =>
          catalog.startJob({ kind: "verify", source, destination, type: run.mode, about }),
        );
  const finish = (outcome: JobOutcome, failure?: Failure) => {
    if (job !== undefined) recorder.write((catalog) => catalog.finishJob(job, outcome, failure));
  };
  try {
    const report = await verifySnapshot(snapshot, options, {
      ...context,
      clock: app.system.clock,
      ledger: run.ledger,
      onVerified: ({ entry, stat }) => {
        if (!run.cached) coverage.add(contentKey(stat.ino, (entry.packed ?? entry).sha256));
      },
    });
    coverage.flush();
    recorder.write((catalog) => catalog.recordVerification(report));
    const outcome = {
      files: report.filesChecked,
      bytes: report.bytesChecked,
    };
    const failure = {
      code: "BACKUP_DAMAGED",
      message: `${counted(report.filesFailed, "path is not as it", "paths are not as they")} should be`,
    };
    finish(outcome, report.valid ? undefined : failure);
    // that there is no catalogue at all is said by the job that this is a part of
    const isSaid = run.isPart === true && recorder.catalog === undefined;
    const remark = isSaid ? undefined : recorder.remark;
    return remark === undefined ? report : { ...report, remarks: [...report.remarks, remark] };
  } catch (thrown) {
    finish({}, failureOf(thrown));
    throw thrown;
  }
}

/** Code and message of what was thrown, for the catalogue. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof CitadelError) return { code: thrown.code, message: thrown.message };
  return { code: "INTERNAL", message: thrown instanceof Error ? thrown.message : String(thrown) };
}

/** When each file of a snapshot was last verified, in manifest order; 0 for never, or not known. */
function lastVerified(snapshot: FoundSnapshot, catalog: Catalog | undefined): Float64Array {
  const total = snapshot.record?.counts.files ?? 0;
  const verifiedAt = new Float64Array(total);
  if (catalog === undefined) return verifiedAt;
  const base = fromText(snapshot.directory);
  let position = 0;
  try {
    for (const entry of readManifest(snapshot.directory)) {
      if (entry.type !== "file" || position >= total) continue;
      verifiedAt[position] = verifiedTime(catalog, `${base}/${storedPath(entry)}`, entry);
      position += 1;
    }
  } catch (thrown) {
    if (!(thrown instanceof CitadelError)) throw thrown; // a damaged manifest is what the verification will say
  }
  return verifiedAt;
}

function verifiedTime(
  catalog: Catalog,
  path: string,
  entry: { sha256: string; packed?: { sha256: string } | undefined },
): number {
  try {
    return catalog.verifiedAt(contentKey(statExact(path).ino, (entry.packed ?? entry).sha256));
  } catch {
    return 0; // missing: the verification says so
  }
}
