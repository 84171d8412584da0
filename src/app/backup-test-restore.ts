// A test restore: some files of the newest snapshot, chosen at random, to a scratch directory; compared byte for byte
// by their hashes while they are written, looked at once more from the disk, removed.

import { knownSnapshot } from "../backup/catalog/catalog.ts";
import { countNeed } from "../backup/restore/plan.ts";
import { restoreSnapshot } from "../backup/restore/restore.ts";
import { drawTestSample } from "../backup/restore/test-sample.ts";
import { RestoreCrew } from "../backup/restore/crew.ts";
import { readManifest } from "../backup/snapshot-reader.ts";
import { displayPath } from "../backup/format/byte-path.ts";
import type { FileEntry } from "../backup/format/manifest.ts";
import { type AbsolutePath, CitadelError, counted, formatBytes, joinPath } from "../core/index.ts";
import { type Clock, fileSystemUsage, listDirectory } from "../system/index.ts";
import { temporaryPrefix } from "../system/atomic-write.ts";
import { isProcessAlive, ownPid } from "../system/process-state.ts";
import { removeTree } from "../system/raw-file.ts";
import type { App } from "./app.ts";
import {
  backupPlaces,
  findSnapshot,
  lockSnapshot,
  realSource,
  recordJob,
} from "./backup-repository.ts";

/** A trial takes no more than a quarter of what is free, and no longer than so much takes to write. */
const maxTrialBytes = 64 * 1024 ** 3;

const escapeGlob = (path: string) => path.replace(/[\\*?[\]{}!]/g, "\\$&");

const trialPrefix = `${temporaryPrefix}test-restore.`;
/** A trial's directory, or the stage of its restore (restore-target.ts), with the process that made it. */
const trialName = /^\.citadel-agent\.(?:restore-\.citadel-agent\.)?test-restore\.(\d+)(?:\.|$)/;

/** A trial that was killed leaves what it wrote, which may be most of a shard, where nobody else looks. */
function removeKilledTrials(backupRoot: AbsolutePath): void {
  for (const name of listDirectory(backupRoot) ?? []) {
    const maker = Number(trialName.exec(name)?.[1] ?? 0);
    if (maker === 0 || isProcessAlive(maker)) continue;
    removeTree(Buffer.from(joinPath(backupRoot, name)).toString("latin1"));
  }
}

/** @throws kind `integrity`, code `TEST_RESTORE_FAILED` */
export async function testRestore(
  app: App,
  signal: AbortSignal,
): Promise<{ message: string; snapshot: string }> {
  const { snapshot } = await findSnapshot(app, "latest", signal, "newest");
  const places = backupPlaces(app);
  const scratch = joinPath(places.backupRoot, `${trialPrefix}${ownPid()}`);
  return recordJob(
    app,
    {
      kind: "test_restore",
      source: realSource(app, snapshot),
      destination: scratch,
      about: knownSnapshot(snapshot),
    },
    async () => {
      using _lock = await lockSnapshot(app, snapshot.id, "test restore", 60_000, signal);
      const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
      removeKilledTrials(places.backupRoot);
      const free = fileSystemUsage(places.backupRoot).availableBytes;
      const budget = Math.min(maxTrialBytes, free / 4);
      const entries = readManifest(snapshot.directory);
      const { files: drawn, tooLarge } = drawTestSample(entries, seed, budget);
      const globs = drawn.map(({ path }) => escapeGlob(displayPath(path)));
      const left =
        tooLarge === 0
          ? ""
          : `; ${counted(tooLarge, "file")} not tried: too large for what is free`;
      if (globs.length === 0) {
        return { message: `no file to try${left}`, snapshot: snapshot.id };
      }
      const options = { to: scratch, globs, privileged: false, isRoot: places.isRoot };
      try {
        const { clock } = app.system;
        const report = await restoreSnapshot(snapshot, options, { clock, signal });
        const [lost] = report.failed;
        const wrong =
          lost === undefined
            ? await findWrong(drawn, scratch, clock, signal)
            : drawn.find(({ path }) => path === lost.path);
        if (lost !== undefined || wrong !== undefined) throw failed(snapshot.id, wrong);
        const { contentBytes: bytes } = countNeed(drawn, () => true);
        return {
          message: `${counted(drawn.length, "file")}, ${formatBytes(bytes)} restored and compared${left}`,
          snapshot: snapshot.id,
        };
      } finally {
        removeTree(Buffer.from(scratch).toString("latin1"));
      }
    },
    () => ({}),
  );
}

/** The first of the restored files that is not, on the disk, what the manifest says. */
async function findWrong(
  drawn: readonly FileEntry[],
  scratch: string,
  clock: Pick<Clock, "sleep">,
  signal: AbortSignal,
): Promise<FileEntry | undefined> {
  const wrong: FileEntry[] = [];
  using crew = new RestoreCrew(clock, signal, () => {}); // a shard takes minutes: the wish to end is heard meanwhile
  await crew.each(drawn, async (entry) => {
    const shown = `${scratch}/${displayPath(entry.path)}`;
    const place = Buffer.from(shown).toString("latin1");
    if ((await crew.hash(place, entry.size, shown)) !== entry.sha256) wrong.push(entry);
  });
  return wrong[0];
}

function failed(id: string, entry: FileEntry | undefined): CitadelError {
  return new CitadelError({
    kind: "integrity",
    code: "TEST_RESTORE_FAILED",
    message: `a test restore of ${id} did not give back what was backed up${entry === undefined ? "" : `: ${displayPath(entry.path)}`}`,
    hint: "run `citadel-agent backup verify` on this snapshot now, and check the disk",
  });
}
