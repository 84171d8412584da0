// Runs that are aborted through the API of the process, or fail, leave no descriptor open: whoever goes on may run
// thousands of them.

import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { createSnapshot } from "../../src/backup/create/create-snapshot.ts";
import type {
  CreateOptions,
  CreateProgress,
  CreateReport,
} from "../../src/backup/create/options.ts";
import { planSnapshot } from "../../src/backup/create/plan-snapshot.ts";
import { diffManifests } from "../../src/backup/diff.ts";
import { repairSnapshot } from "../../src/backup/repair/repair.ts";
import { readSnapshot, type FoundSnapshot } from "../../src/backup/repository.ts";
import { restoreInPlace } from "../../src/backup/restore/in-place.ts";
import { restoreSnapshot } from "../../src/backup/restore/restore.ts";
import { readManifest } from "../../src/backup/snapshot-reader.ts";
import { verifySnapshot } from "../../src/backup/verify/verify.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { createSystem, systemClock } from "../../src/system/index.ts";
import { createOptions, letSourceSettle } from "../support/create-snapshot.ts";

const root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/aborted-`));
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));
const source = `${root}/source`;
const repository = `${root}/backup`;
const system = createSystem();
const stopped = new Error("stopped by the test");

const openDescriptors = () =>
  fs.readdirSync("/proc/self/fd").map((fd) => {
    try {
      return `${fd} ${fs.readlinkSync(`/proc/self/fd/${fd}`)}`;
    } catch {
      return `${fd} gone`;
    }
  });
/** Those that lie below the test's directory: what a run has opened and not what the runtime keeps for itself. */
const ours = () => openDescriptors().filter((line) => line.includes(root));

/** Waits for what ends on its own, as threads do. */
async function expectNoneLeft(): Promise<void> {
  for (let turn = 0; turn < 200 && ours().length > 0; turn += 1) await Bun.sleep(20);
  expect(ours()).toEqual([]);
}

function create(
  more: Partial<CreateOptions>,
  abortWhen: (progress: CreateProgress) => boolean,
): Promise<CreateReport> {
  const controller = new AbortController();
  return createSnapshot(
    { ...createOptions(source, repository), ...more },
    {
      system,
      signal: controller.signal,
      onProgress: (progress) => {
        if (abortWhen(progress)) controller.abort(stopped);
      },
    },
  );
}

const never = () => false;
const write = (name: string, bytes: number) => {
  fs.mkdirSync(`${source}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
  fs.writeFileSync(
    `${source}/${name}`,
    crypto.getRandomValues(Buffer.alloc(Math.min(bytes, 65_536))),
  );
  fs.truncateSync(`${source}/${name}`, bytes);
  const fd = fs.openSync(`${source}/${name}`, "r+");
  for (let at = 0; at < bytes; at += 4096) fs.writeSync(fd, "data", at);
  fs.closeSync(fd);
};

test("a backup that is aborted lets go of everything, at whatever moment", async () => {
  for (let at = 0; at < 200; at += 1) write(`many/${at}`, 100);
  for (const name of ["large", "larger", "largest"]) write(name, 64 * 1024 * 1024);
  await letSourceSettle();
  let ticks = 0;
  const moments: [Partial<CreateOptions>, (progress: CreateProgress) => boolean][] = [
    [{ type: "full" }, ({ activity }) => activity === "copying"],
    [{ type: "full" }, ({ doneBytes = 0 }) => doneBytes > 0],
    [{ type: "full" }, ({ doneBytes = 0 }) => doneBytes > 20_000_000],
    [
      { type: "full", compression: { method: "lz4", level: 1 } },
      ({ doneBytes = 0 }) => doneBytes > 20_000_000,
    ],
    [{ type: "full", limitBytesPerSecond: 4_000_000 }, ({ doneBytes = 0 }) => doneBytes > 0],
    [{}, ({ activity }) => activity === "copying" && (ticks += 1) > 3],
  ];
  for (const [more, abortWhen] of moments) {
    const run = create(more, abortWhen);
    expect(await run.catch((thrown: unknown) => thrown)).toBe(stopped);
    await expectNoneLeft();
  }
  // at the very end it may be done first
  const flushing = create({ type: "full" }, ({ activity }) => activity === "flushing");
  await flushing.catch((thrown: unknown) => expect(thrown).toBe(stopped));
  await expectNoneLeft();
  const made = await create({}, never);
  await expectNoneLeft();
  // unchanged: threads make links
  await letSourceSettle();
  fs.rmSync(`${source}/largest`);
  write("largest", 1_000_000);
  const linking = create(
    {},
    ({ doneItems = 0, activity }) => activity === "copying" && doneItems > 50,
  );
  await linking.catch((thrown: unknown) => expect(thrown).toBe(stopped));
  await expectNoneLeft();
  expect((await create({}, never)).parent).toBe(made.snapshot);
  await expectNoneLeft();
}, 60_000);

test("a backup that is refused, or only planned, lets go of everything", async () => {
  const options = createOptions(source, repository);
  const { signal } = new AbortController();
  await planSnapshot(options, system, signal);
  await expectNoneLeft();
  const tooLittle = { reserveBytes: Number.MAX_SAFE_INTEGER };
  for (const type of ["full", "incremental"] as const) {
    await expect(create({ ...tooLittle, type }, never)).rejects.toMatchObject({ kind: "no-space" });
    await expectNoneLeft();
  }
  fs.renameSync(source, `${source}.kept`);
  write("one", 10);
  for (const type of ["full", "incremental"] as const) {
    // another directory is another source: by its path it is the same that shrank
    await expect(create({ type }, never)).rejects.toMatchObject({ code: "SOURCE_SHRUNK" });
    await expectNoneLeft();
  }
  fs.rmSync(source, { recursive: true });
  fs.renameSync(`${source}.kept`, source);
}, 60_000);

const newest = (): FoundSnapshot => {
  const link = fs.readlinkSync(`${repository}/models/latest`);
  return readSnapshot(`${repository}/models/${link}` as AbsolutePath, "models") as FoundSnapshot;
};

test("a check and a restore that are aborted let go of everything", async () => {
  for (const mode of ["quick", "full"] as const) {
    const controller = new AbortController();
    const options = { mode, cached: false, sampleRate: 1, seed: 0, cores: 2 } as const;
    const run = verifySnapshot(newest(), options, {
      clock: systemClock,
      signal: controller.signal,
      onProgress: ({ doneBytes }) => {
        if (doneBytes > 0) controller.abort(stopped);
      },
    });
    expect(await run.catch((thrown: unknown) => thrown)).toBe(stopped);
    await expectNoneLeft();
  }
  for (const restore of [restoreSnapshot, restoreInPlace]) {
    const to = `${root}/restored-${restore.name}`;
    if (restore === restoreInPlace) fs.mkdirSync(to);
    const controller = new AbortController();
    const options = { to, globs: [], privileged: false, isRoot: true, force: false };
    const run = restore(newest(), options, {
      clock: systemClock,
      signal: controller.signal,
      onProgress: ({ doneBytes }) => {
        if (doneBytes > 10_000_000) controller.abort(stopped);
      },
    });
    expect(await run.catch((thrown: unknown) => thrown)).toBe(stopped);
    await expectNoneLeft();
  }
}, 60_000);

test("a repair that is aborted, and a comparison that ends early, let go of everything", async () => {
  const snapshot = newest();
  const { directory } = snapshot;
  fs.truncateSync(`${directory}/data/large`, 5);
  const options = { mode: "quick", cached: true, sampleRate: 1, seed: 0, cores: 2 } as const;
  const found = await verifySnapshot(snapshot, options, { clock: systemClock });
  expect(found.filesFailed).toBe(1);
  const controller = new AbortController();
  const { signal } = controller;
  const onProgress = () => controller.abort(stopped);
  const repair = repairSnapshot(snapshot, found, { others: [], source, signal, onProgress });
  expect(await repair.catch((thrown: unknown) => thrown)).toBe(stopped);
  await expectNoneLeft();

  const entries = () => readManifest(directory);
  for (const difference of diffManifests(entries(), [])) {
    expect(difference.change).toBe("removed");
    break;
  }
  expect(ours()).toEqual([]);
});

test("eight aborted runs need no more descriptors than one", async () => {
  const once = async () => {
    const run = create({ type: "full" }, ({ doneBytes = 0 }) => doneBytes > 0);
    await run.catch((thrown: unknown) => expect(thrown).toBe(stopped));
    await expectNoneLeft();
  };
  for (let at = 0; at < 3; at += 1) await once();
  const before = openDescriptors().length;
  for (let at = 0; at < 8; at += 1) await once();
  for (let turn = 0; turn < 200 && openDescriptors().length > before; turn += 1)
    await Bun.sleep(20);
  expect(openDescriptors().length).toBeLessThanOrEqual(before);
}, 60_000);
