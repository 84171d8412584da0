// `backup create --configs`: what a host needs to be rebuilt after its root disk died. Copies of configuration, units
// and state databases go into a private directory under the paths of the host, and that becomes a snapshot.

import { createSnapshot } from "../backup/create/create-snapshot.ts";
import type { CreateOptions } from "../backup/create/options.ts";
import { chooseParent } from "../backup/create/parent.ts";
import type { SnapshotPlan } from "../backup/create/plan-snapshot.ts";
import { checkMounts, checkWritable, existingPart } from "../backup/create/source.ts";
import { fromText } from "../backup/format/byte-path.ts";
import { jsonPath } from "../backup/format/index.ts";
import { collectConflict, type PlanConflict } from "../backup/plan-conflict.ts";
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
import { fileSystemUsage, listDirectory, lstat, realpath } from "../system/index.ts";
import {
  readBelow,
  removeDirectory,
  resetPrivateDirectory,
  stageContent,
  stageDatabase,
  type StagedFile,
} from "../system/config-staging.ts";
import { pinTyped, type PinnedDirectory } from "../system/pinned-directory.ts";
import { walkTree } from "../system/tree-walk.ts";
import type { App } from "./app.ts";
import {
  lockSource,
  requiresMounts,
  toolOfThisBuild,
  type CreateContext,
  type CreateOutcome,
  type CreateRequest,
} from "./backup-create.ts";
import { recordJob } from "./backup-repository.ts";
import { statePlaces } from "./state-places.ts";

/** Nothing that configures a host is larger. */
const maxFileBytes = 16 * 1024 * 1024;

export type ConfigsRequest = Pick<
  CreateRequest,
  "tags" | "acceptShrink" | "lockTimeoutMs" | "command"
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
    type: "incremental",
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
      const report = await createSnapshot(options, { system, ...context });
      return {
        report: { ...report, warnings: [...report.warnings, ...remarks] },
        verification: undefined,
      };
    } finally {
      removeDirectory(staging); // it may hold secrets
    }
  };
  return recordJob(app, job, run, ({ report }) => ({
    snapshot: report.snapshot,
    files: report.files,
    bytes: report.bytes,
    newBytes: report.copied_bytes,
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
    type: "incremental",
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
export function planConfigsBackup(app: App, withSecrets: boolean): SnapshotPlan {
  const { kept, remarks } = gatherConfigs(app, undefined, withSecrets);
  const repository = app.system.hostPaths.real(app.settings.paths.backup_root);
  const bytes = kept.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const { availableBytes } = fileSystemUsage(existingPart(repository));
  const conflicts: PlanConflict[] = [];
  const warnings: string[] = [];
  collectConflict(conflicts, () => checkMounts(neededMounts(app, repository), app.system));
  collectConflict(conflicts, () => checkWritable({ repositoryPath: repository, area: "configs" }));
  using parent = chooseParent(listSnapshots(repository), identityOf(app), "configs", (text) =>
    warnings.push(text),
  );
  const skipped = remarks.map(({ path, reason }) => ({ ...jsonPath(fromText(path)), reason }));
  return {
    source: "configs",
    to: joinPath(repository, "configs"),
    type: "incremental",
    parent: parent?.record.id ?? null,
    files: kept.length,
    bytes,
    copy_files: kept.length,
    copy_bytes: bytes,
    link_files: 0,
    skipped,
    skipped_total: skipped.length,
    needed_bytes: bytes,
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

class Staging {
  /** What was left out, and why. */
  readonly remarks: { readonly path: string; readonly reason: string }[] = [];
  readonly kept: { readonly path: string; readonly sizeBytes: number }[] = [];
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
    for (const { path, stat } of walkTree(`${directory.through}/.`, { crossFileSystems: false })) {
      if ((stat.mode & 0o170000) !== 0o100000) continue;
      const shown = joinPath(hostPath, Buffer.from(path, "latin1").toString("utf8"));
      this.#keep(directory, path.split("/"), shown);
    }
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
    this.kept.push({ path: hostPath, sizeBytes: file.content.length });
    if (this.#root === undefined) return;
    const { hostPaths } = this.#app.system;
    const copy = joinPath(this.#root, hostPaths.host(hostPaths.real(hostPath)));
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
      this.kept.push({ path: host, sizeBytes: lstat(path)?.sizeBytes ?? 0 });
      if (this.#root !== undefined) stageDatabase(path, joinPath(this.#root, host));
    } catch (thrown) {
      this.remarks.push({ path, reason: `cannot be copied: ${messageOf(thrown)}` });
    }
  }
}
