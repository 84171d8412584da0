import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { applyRetention } from "../../src/backup/cleanup.ts";
import { listSnapshots, type FoundSnapshot } from "../../src/backup/repository.ts";
import { defaultRules, planRetention, type RetentionFacts } from "../../src/backup/retention.ts";
import { formatSnapshotId, slugOf, type SnapshotRecord } from "../../src/backup/format/index.ts";
import { systemClock } from "../../src/system/index.ts";
import { acquireLock } from "../../src/system/lock.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { buildSnapshot } from "../support/snapshot-builder.ts";

const dayMs = 86_400_000;
const nowMs = Date.UTC(2026, 5, 15, 12);
let dir: string;
beforeAll(() => {
  dir = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/retention-`));
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

interface Fake {
  days: number;
  tags?: string[];
  source?: string;
  shrunk?: boolean;
  bytes?: number;
  newBytes?: number;
  state?: FoundSnapshot["state"];
}

function fake({
  days,
  tags = [],
  source = "/active",
  shrunk = false,
  bytes = 100,
  newBytes = 100,
  state = "complete",
}: Fake): FoundSnapshot {
  const startedMs = nowMs - days * dayMs;
  const id = formatSnapshotId(startedMs, slugOf(source), "full", Math.round(days * 7));
  const record = {
    id,
    source,
    source_identity: source,
    tags,
    shrunk,
    counts: { bytes, new_bytes: newBytes },
  } as unknown as SnapshotRecord;
  return {
    id,
    area: "models",
    directory: `/repo/models/${id}` as AbsolutePath,
    startedMs,
    slug: slugOf(source),
    state,
    record: state === "complete" ? record : undefined,
    why: undefined,
    isOwn: true,
  };
}

const facts: RetentionFacts = {
  nowMs,
  verifiedAtMs: new Map(),
  locked: new Set(),
  building: new Set(),
};
const plan = (fakes: Fake[], more: Partial<RetentionFacts> = {}, rules = defaultRules) =>
  planRetention(fakes.map(fake), rules, { ...facts, ...more });
const removedDays = (fakes: Fake[], more: Partial<RetentionFacts> = {}, rules = defaultRules) =>
  plan(fakes, more, rules)
    .remove.map(({ startedMs }) => Math.round((nowMs - startedMs) / dayMs))
    .sort((a, b) => a - b);

test("plain backups go by age, counted from the snapshot and not from its directory", () => {
  expect(
    removedDays([{ days: 1 }, { days: 29 }, { days: 30 }, { days: 31 }, { days: 90 }]),
  ).toEqual([31, 90]);
  expect(removedDays([{ days: 1 }, { days: 5 }], {}, { ...defaultRules, days: 3 })).toEqual([5]);
});

test("typed backups are kept 7, 4 and 12 of each, a snapshot with several tags for each of them", () => {
  const daily = Array.from({ length: 20 }, (_, at) => ({ days: at, tags: ["daily"] }));
  expect(removedDays(daily)).toEqual([7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  const weekly = Array.from({ length: 6 }, (_, at) => ({ days: at * 7, tags: ["weekly"] }));
  expect(removedDays(weekly)).toEqual([28, 35]);
  const monthly = Array.from({ length: 14 }, (_, at) => ({ days: at * 30, tags: ["monthly"] }));
  expect(removedDays(monthly)).toEqual([360, 390]);
  expect(removedDays([...daily, { days: 300, tags: ["daily", "monthly"] }])).not.toContain(300);
});

test("the newest of a source and its newest verified one never go, however old", () => {
  const old = [{ days: 400 }, { days: 500 }, { days: 600 }];
  expect(removedDays(old)).toEqual([500, 600]);
  const verified = new Map([[fake({ days: 600 }).id, 1]]);
  expect(removedDays(old, { verifiedAtMs: verified })).toEqual([500]);
  expect(removedDays([...old, { days: 700, source: "/other" }])).toEqual([500, 600]);
});

test("a snapshot of a source that had shrunk never counts as the newest to keep", () => {
  const fakes = [{ days: 40, shrunk: true }, { days: 50 }, { days: 60 }];
  expect(removedDays(fakes)).toEqual([40, 60]);
});

test("what is in use, being made, or damaged stays; the partial of a dead builder goes", () => {
  const fakes: Fake[] = [
    { days: 0 },
    { days: 50 },
    { days: 60 },
    { days: 2, state: "partial" },
    { days: 3, state: "partial" },
    { days: 4, state: "damaged" },
  ];
  const more = {
    locked: new Set([fake({ days: 50 }).id]),
    building: new Set([fake({ days: 2 }).id]),
  };
  expect(removedDays(fakes, more)).toEqual([3, 60]);
});

test("a clock before the newest snapshot, or most of a source going, needs a person", () => {
  const past = plan([{ days: -1 }, { days: 40 }]);
  expect(past.objections.map(({ code }) => code)).toContain("CLOCK_BEFORE_SNAPSHOT");
  const most = plan([{ days: 1 }, { days: 40 }, { days: 41 }]);
  expect(most.objections.map(({ code }) => code)).toEqual(["CLEANUP_REMOVES_MOST"]);
  expect(plan([{ days: 1 }, { days: 2 }, { days: 41 }]).objections).toEqual([]);
  expect(plan([{ days: -1 }]).objections).toEqual([]);
});

test("the first of a row of incremental snapshots goes by age like others; most of the bytes going needs a person", () => {
  const row = [1, 8, 15, 22, 29].map((days) => ({ days, newBytes: 1 }));
  const first = plan([...row, { days: 36, newBytes: 100 }]);
  expect(first.remove).toHaveLength(1);
  expect(first.objections).toEqual([]);
  const shrunk = plan([...row, { days: 36, bytes: 1000 }]);
  expect(shrunk.objections.map(({ code }) => code)).toEqual(["CLEANUP_REMOVES_MOST"]);
  expect(shrunk.objections[0]?.message).toContain("1000 B of the 1.5 KiB");
});

test("--keep-last keeps that many of each source", () => {
  const fakes = [{ days: 40 }, { days: 50 }, { days: 60 }];
  expect(removedDays(fakes, {}, { ...defaultRules, last: 2 })).toEqual([60]);
});

test("removing one snapshot harms no other, nothing foreign is touched, and what is locked stays", async () => {
  const source = `${dir}/source`;
  fs.mkdirSync(source);
  fs.writeFileSync(`${source}/model`, "weights");
  const root = `${dir}/repo` as AbsolutePath;
  const first = buildSnapshot(root, source, { atMs: nowMs - 90 * dayMs });
  const second = buildSnapshot(root, source, { atMs: nowMs - 80 * dayMs, linkTo: first.directory });
  const third = buildSnapshot(root, source, { atMs: nowMs - 1 * dayMs, linkTo: first.directory });
  fs.mkdirSync(`${root}/models/mine`);
  fs.mkdirSync(`${root}/models/daily`);
  fs.symlinkSync(`../${first.id}`, `${root}/models/daily/${first.id}`);
  fs.symlinkSync("../mine", `${root}/models/daily/mine`);
  fs.mkdirSync(`${root}/models/.citadel-agent.removing-x/data`, { recursive: true });
  const runtimeDir = `${dir}/run` as AbsolutePath;
  using _lock = await acquireLock({
    directory: runtimeDir,
    domain: `snapshot-${second.id}`,
    command: "backup restore",
    timeoutMs: 0,
    clock: systemClock,
    shared: true,
  });
  const found = listSnapshots(root);
  expect(found).toHaveLength(3);
  const decided = planRetention(found, defaultRules, facts);
  expect(decided.remove.map(({ id }) => id)).toEqual([first.id, second.id]);
  const report = applyRetention(decided, { backupRoot: root, runtimeDir, clock: systemClock });
  expect(report.removed.map(({ id }) => id)).toEqual([first.id]);
  expect(report.failed.map(({ snapshot }) => snapshot.id)).toEqual([second.id]);
  expect(report.leftovers).toBe(1);
  expect(fs.readdirSync(`${root}/models`).sort()).toEqual(
    [second.id, third.id, "daily", "mine"].sort(),
  );
  expect(fs.readdirSync(`${root}/models/daily`)).toEqual(["mine"]);
  expect(fs.readFileSync(`${third.directory}/data/model`, "utf8")).toBe("weights");
});
