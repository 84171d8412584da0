// Makes snapshots of real trees in temporary directories, with the options that a test does not care about filled in.

import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { createSnapshot } from "../../src/backup/create/create-snapshot.ts";
import type { CreateOptions, CreateReport } from "../../src/backup/create/options.ts";
import { type ManifestEntry, parseManifest, toBytes } from "../../src/backup/format/index.ts";
import { type FoundSnapshot, readSnapshot } from "../../src/backup/repository.ts";
import type { VerifyReport } from "../../src/backup/verify/report.ts";
import { verifySnapshot } from "../../src/backup/verify/verify.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { createSystem, systemClock, type System } from "../../src/system/index.ts";

export interface BackupWorld extends Disposable {
  readonly root: string;
  readonly source: string;
  readonly repository: string;
  create(options?: Partial<CreateOptions>, signal?: AbortSignal): Promise<CreateReport>;
}

export function createOptions(source: string, repository: string): CreateOptions {
  return {
    sourcePath: source as AbsolutePath,
    repositoryPath: repository as AbsolutePath,
    area: "models",
    type: "incremental",
    tags: [],
    jobs: 2,
    compression: null,
    deduplicate: true,
    extraChecksums: [],
    crossFileSystems: false,
    acceptShrink: false,
    mustBeMounted: [],
    reserveBytes: 0,
    limitBytesPerSecond: 0,
    attempts: 1,
    retryDelayMs: 10,
    updateLatest: true,
    settings: {},
    tool: { name: "citadel-agent", version: "test", commit: "test" },
  };
}

/** A source and a backup root of their own. @param below where; default the temporary directory of the system */
export function openBackupWorld(below = tmpdir(), system: System = createSystem()): BackupWorld {
  const root = realpathSync(mkdtempSync(`${below}/citadel-backup-`));
  const source = `${root}/source`;
  const repository = `${root}/backup`;
  mkdirSync(source);
  mkdirSync(repository);
  return {
    root,
    source,
    repository,
    create(options = {}, signal = new AbortController().signal) {
      const all = { ...createOptions(source, repository), ...options };
      return createSnapshot(all, { system, signal, onProgress: () => {} });
    },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Whether the clock of the file system has moved on so far that files written before count as settled. */
export async function letSourceSettle(): Promise<void> {
  const until = Date.now() + 40; // twice what the engine takes for the grain of the kernel's clock
  while (Date.now() < until) await Bun.sleep(5);
}

/** The manifest of a snapshot, checked as a reader does. */
export function manifestOf(directory: string): Map<string, ManifestEntry> {
  const entries = parseManifest([readFileSync(`${directory}/manifest.jsonl`)]);
  return new Map([...entries].map((entry) => [toBytes(entry.path).toString("latin1"), entry]));
}

/** Verifies every byte of a snapshot, through the cache: what is asked is whether it was made right. */
export function verifyWhole(directory: string): Promise<VerifyReport> {
  const snapshot = readSnapshot(directory as AbsolutePath, "models") as FoundSnapshot;
  const options = {
    mode: "full",
    cached: true,
    sampleRate: 1,
    seed: 0,
    cores: 1,
    workers: 0,
  } as const;
  return verifySnapshot(snapshot, options, { clock: systemClock });
}
