// `backup create --configs`: what a host needs to be rebuilt after its root disk died. Copies of configuration, units
// and state databases go into a private directory under the paths of the host, and that becomes a snapshot.

import { createSnapshot } from "../backup/create/create-snapshot.ts";
import type { CreateOptions } from "../backup/create/options.ts";
import { chooseParent, type Parent } from "../backup/create/parent.ts";
import type { SnapshotPlan } from "../backup/create/plan-snapshot.ts";
import { checkMounts, checkWritable, existingPart } from "../backup/create/source.ts";
import { displayPath, fromText } from "../backup/format/byte-path.ts";
import { jsonPath } from "../backup/format/index.ts";
import { collectConflict, type PlanConflict } from "../backup/plan-conflict.ts";
import { readManifest } from "../backup/snapshot-reader.ts";
import { listSnapshots } from "../backup/repository.ts";
import {
  CitadelError,
  joinPath,
  messageOf,
  nameOf,
  parentOf,
  Secret,
  type AbsolutePath,
} from "../core/index.ts";
import { redactText } from "../incident/redact.ts";
import { fileSystemUsage, listDirectory, lstat, realpath, sha256Hex } from "../system/index.ts";
import {
  readBelow,
  removeDirectory,
  resetPrivateDirectory,
  stageContent,
  stageDatabase,
  stageDirectory,
  stageLink,
  type StagedFile,
} from "../system/config-staging.ts";
import { pinTyped, type PinnedDirectory } from "../system/pinned-directory.ts";
import { walkTree, type WalkedEntry } from "../system/tree-walk.ts";
import type { App } from "./app.ts";
import {
  failureOfCheck,
  lockSource,
  toolOfThisBuild,
  verifyCreated,
  type CreateContext,
  type CreateOutcome,
  type CreateRequest,
} from "./backup-create.ts";
import { readKnownDamage } from "./backup-knowledge.ts";
import { requiresMounts } from "./backup-mounts.ts";
import { backupPlaces, recordJob } from "./backup-repository.ts";
import { statePlaces } from "./state-places.ts";

/** What runs now, this very backup among it, would be a failed job to whoever puts the catalogue back. */
const settleCatalog = "DELETE FROM jobs WHERE state IN ('pending', 'running')";

/** Nothing that configures a host is larger. */
const maxFileBytes = 16 * 1024 * 1024;

export type ConfigsRequest = Pick<
  CreateRequest,
  "type" | "tags" | "acceptShrink" | "verify" | "lockTimeoutMs" | "command"
> & { readonly withSecrets: boolean };

/** Makes a snapshot of the host's configuration. @throws kinds of createSnapshot; `locked` (exit 5) */
export async function createConfigsBackup(
  app: App,
  request: ConfigsRequest,
  context: CreateContext,
): Promise<CreateOutcome> {
  const { system, settings } = app;
  const { stateDir } = statePlaces(system, settings.agent.state_dir);
  const staging = joinPath(stateDir, "configs-staging");
  const repositoryPath = system.hostPaths.real(settings.paths.backup_root);
  const job = {
    kind: "create" as const,
    source: "configs",
    destination: repositoryPath,
    type: request.type ?? "incremental",
    tags: request.tags,
    isQueued: true,
  };
  const run = async (begin: () => void): Promise<CreateOutcome> => {
    using _lock = await lockSource(app, staging, request, context.signal);
    begin();
    resetPrivateDirectory(staging);
    try {
      const remarks = stageConfigs(app, staging, request.withSecrets);
      const options = toOptions(app, request, realpath(staging) as AbsolutePath, repositoryPath);
      const { damage: knownDamage, warnings } = readKnownDamage(backupPlaces(app));
      const report = await createSnapshot({ ...options, knownDamage }, { system, ...context });
      const check = { verify: request.verify, area: "configs" } as const;
      return {
        report: { ...report, warnings: [...warnings, ...report.warnings, ...remarks] },
        verification: await verifyCreated(app, report, check, context),
      };
    } finally {
      removeDirectory(staging); // it may hold secrets
    }
  };
  return recordJob(app, job, run, ({ report, verification }) => ({
    snapshot: report.snapshot,
    files: report.files,
    bytes: report.bytes,
    newBytes: report.copied_bytes,
    checksum: report.manifest_sha256,
    failure: failureOfCheck(verification),
  }));
}

function toOptions(
  app: App,
  request: ConfigsRequest,
  sourcePath: AbsolutePath,
  repositoryPath: AbsolutePath,
): CreateOptions {
  const { backup } = app.settings;
  return {
    sourcePath,
    sourceName: "configs",
    sourceIdentity: identityOf(app),
    repositoryPath: (realpath(repositoryPath) as AbsolutePath | undefined) ?? repositoryPath,
    area: "configs",
    type: request.type ?? "incremental",
    tags: request.tags ?? [],
    jobs: 1,
    compression: null,
    deduplicate: backup.deduplication_enabled,
    extraChecksums: [],
    crossFileSystems: false,
    acceptShrink: request.acceptShrink ?? false,
    mustBeMounted: neededMounts(app, repositoryPath),
    reserveBytes: 0,
    limitBytesPerSecond: 0,
    attempts: backup.max_retry_attempts,
    retryDelayMs: backup.retry_delay_seconds * 1000,
    updateLatest: false,
    settings: { with_secrets: request.withSecrets },
    tool: toolOfThisBuild(),
  };
}

const identityOf = ({ system }: App) => `configs;${system.environment.hostname}`;

/** The paths whose disks must be there. */
const neededMounts = (app: App, repositoryPath: AbsolutePath) =>
  requiresMounts(app) ? [repositoryPath] : [];

/** What `--configs --dry-run` shows. Looks and changes nothing; databases are counted with the size they have now. */
export function planConfigsBackup(
  app: App,
  { withSecrets, type = "incremental" }: Pick<ConfigsRequest, "withSecrets" | "type">,
): SnapshotPlan {
  const { kept, remarks } = gatherConfigs(app, undefined, withSecrets);
  const repository = app.system.hostPaths.real(app.settings.paths.backup_root);
  const bytes = kept.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const { availableBytes } = fileSystemUsage(existingPart(repository));
  const conflicts: PlanConflict[] = [];
  collectConflict(conflicts, () => checkMounts(neededMounts(app, repository), app.system));
  collectConflict(conflicts, () => checkWritable({ repositoryPath: repository, area: "configs" }));
  const { damage: knownDamage, warnings } = readKnownDamage(backupPlaces(app));
  const wanted = { identity: identityOf(app), area: "configs", knownDamage };
  using parent =
    type === "full"
      ? undefined
      : chooseParent(listSnapshots(repository), wanted, (text) => warnings.push(text));
  const former = parent === undefined ? new Map<string, string>() : contentOf(parent);
  const mayLink = app.settings.backup.deduplication_enabled;
  const isKnown = ({ relative, sha256 }: Kept) =>
    mayLink && sha256 !== undefined && former.get(relative) === sha256; // a database has none: copied
  const copied = kept.filter((each) => !isKnown(each));
  const copyBytes = copied.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const skipped = remarks.map(({ path, reason }) => ({ ...jsonPath(fromText(path)), reason }));
  return {
    source: "configs",
    to: joinPath(repository, "configs"),
    type,
    parent: parent?.record.id ?? null,
    files: kept.length,
    bytes,
    copy_files: copied.length,
    copy_bytes: copyBytes,
    link_files: kept.length - copied.length,
    skipped,
    skipped_total: skipped.length,
    needed_bytes: copyBytes,
    available_bytes: availableBytes,
    conflicts,
    warnings,
  };
}

/** @returns what was left out, for a person */
function stageConfigs(app: App, staging: AbsolutePath, withSecrets: boolean): string[] {
  const { remarks } = gatherConfigs(app, staging, withSecrets);
  return remarks.map(({ path, reason }) => `left out, ${reason}: ${path}`);
}

/** @param staging undefined: nothing is written */
function gatherConfigs(app: App, staging: AbsolutePath | undefined, withSecrets: boolean): Staging {
  const stage = new Staging(app, staging, withSecrets);
  const { hostPaths } = app.system;
  const { app_configs } = app.settings.paths;
  stage.tree("/etc/citadel");
  stage.tree(app_configs);
  stage.file("/etc/fstab");
  stage.file("/etc/udev/rules.d/99-citadel-storage.rules");
  for (const name of listDirectory(hostPaths.real("/etc/systemd/system")) ?? []) {
    if (name.startsWith("citadel-agent")) stage.tree(`/etc/systemd/system/${name}`);
  }
  const { stateDir } = statePlaces(app.system, app.settings.agent.state_dir);
  for (const name of listDirectory(stateDir) ?? []) {
    if (name.endsWith(".db")) stage.database(joinPath(stateDir, name));
  }
  return stage;
}

/** The files of a snapshot of configurations, of which there are few, by path; those that may be shared. */
function contentOf({ directory, damaged }: Parent): Map<string, string> {
  const found = new Map<string, string>();
  for (const entry of readManifest(directory)) {
    if (entry.type === "file" && !damaged.paths.has(entry.path))
      found.set(displayPath(entry.path), entry.sha256);
  }
  return found;
}

interface Kept {
  /** Path in the snapshot. */
  readonly relative: string;
  readonly sizeBytes: number;
  /** Undefined for a database: its copy is made anew. */
  readonly sha256: string | undefined;
}

class Staging {
  /** What was left out, and why. */
  readonly remarks: { readonly path: string; readonly reason: string }[] = [];
  readonly kept: Kept[] = [];
  readonly #app: App;
  readonly #root: AbsolutePath | undefined;
  readonly #withSecrets: boolean;
  readonly #secrets: readonly string[];

  constructor(app: App, root: AbsolutePath | undefined, withSecrets: boolean) {
    this.#app = app;
    this.#root = root;
    this.#withSecrets = withSecrets;
    const values = Object.values(app.settings).flatMap((group) => Object.values(group as object));
    this.#secrets = values
      .filter((value) => value instanceof Secret)
      .map((secret) => secret.reveal())
      .filter((text) => text !== "");
  }

  /** A file, or everything below a directory, read through its descriptor. @param hostPath as the booted host calls it */
  tree(hostPath: string): void {
    const real = this.#app.system.hostPaths.real(hostPath);
    const type = lstat(real)?.type;
    if (type === "file") this.file(hostPath);
    if (type !== "directory") return;
    using directory = this.#pin(real, hostPath);
    if (directory === undefined) return;
    // the dot: the walk does not follow a link in the last part, and the descriptor is one
    for (const entry of walkTree(`${directory.through}/.`, { crossFileSystems: false })) {
      const name = Buffer.from(entry.path, "latin1").toString("utf8");
      const shown = entry.path === "." ? hostPath : joinPath(hostPath, name);
      this.#keepEntry(directory, entry, shown);
    }
  }

  #keepEntry(directory: PinnedDirectory, entry: WalkedEntry, hostPath: string): void {
    const { path, stat, target, failure, isForeignMount } = entry;
    const type = stat.mode & 0o170000;
    const leaveOut = (reason: string) => this.remarks.push({ path: hostPath, reason });
    if (failure !== undefined) leaveOut(failure.message);
    else if (isForeignMount) leaveOut("another file system is mounted there");
    else if (type === 0o100000) this.#keep(directory, path.split("/"), hostPath);
    else if (type === 0o040000) this.#stage(hostPath, (copy) => stageDirectory(copy, stat));
    else if (target !== undefined) this.#stage(hostPath, (copy) => stageLink(copy, target, stat));
    else leaveOut("neither a file nor a directory nor a link");
  }

  #stage(hostPath: string, write: (copy: AbsolutePath) => void): void {
    const { hostPaths } = this.#app.system;
    if (this.#root !== undefined)
      write(joinPath(this.#root, hostPaths.host(hostPaths.real(hostPath))));
  }

  file(hostPath: string): void {
    const real = this.#app.system.hostPaths.real(hostPath);
    if (lstat(real) === undefined) return;
    using directory = this.#pin(parentOf(real), hostPath);
    if (directory === undefined) return;
    const name = Buffer.from(nameOf(real)).toString("latin1");
    this.#keep(directory, [name], hostPath);
  }

  /** Links on the way are followed as far as they are root's. */
  #pin(real: AbsolutePath, hostPath: string): PinnedDirectory | undefined {
    try {
      return pinTyped(real);
    } catch (thrown) {
      if (!(thrown instanceof CitadelError)) throw thrown;
      this.remarks.push({ path: hostPath, reason: thrown.message });
      return undefined;
    }
  }

  #keep(directory: PinnedDirectory, parts: string[], hostPath: string): void {
    const file = readBelow(directory, parts, maxFileBytes);
    if (file === undefined) {
      this.remarks.push({ path: hostPath, reason: "not a readable file of up to 16 MiB" });
      return;
    }
    const isSecret = this.#holdsSecrets(file);
    if (isSecret && !this.#withSecrets) {
      const reason = "holds secrets (--with-secrets keeps them)";
      this.remarks.push({ path: hostPath, reason });
      return;
    }
    const { hostPaths } = this.#app.system;
    const path = hostPaths.host(hostPaths.real(hostPath));
    const { content } = file;
    const sha256 = sha256Hex(content);
    this.kept.push({ relative: path.slice(1), sizeBytes: content.length, sha256 });
    if (this.#root === undefined) return;
    const copy = joinPath(this.#root, path);
    stageContent(copy, file, isSecret ? 0o600 : undefined);
  }

  /** What nobody else may read, what holds the value of a secret setting, and what looks like one. */
  #holdsSecrets({ content, stat }: StagedFile): boolean {
    if ((Number(stat.mode) & 0o004) === 0) return true;
    const text = content.toString("utf8");
    if (this.#secrets.some((secret) => text.includes(secret))) return true;
    // a setting that names the file of a secret is none itself
    const judged = text.replaceAll(/^.*_file["']?\s*[=:].*$/gim, "");
    return redactText(judged) !== judged;
  }

  database(path: AbsolutePath): void {
    try {
      const host = this.#app.system.hostPaths.host(path);
      const sizeBytes = lstat(path)?.sizeBytes ?? 0;
      this.kept.push({ relative: host.slice(1), sizeBytes, sha256: undefined });
      if (this.#root === undefined) return;
      const settle = nameOf(path) === "catalog.db" ? settleCatalog : undefined;
      stageDatabase(path, joinPath(this.#root, host), settle);
    } catch (thrown) {
      this.remarks.push({ path, reason: `cannot be copied: ${messageOf(thrown)}` });
    }
  }
}
