import { describe, expect, test } from "bun:test";
import { createStyle } from "../../src/output/style.ts";
import { directoryPlaces } from "../../src/output/plan-directories-text.ts";
import { formatPlan } from "../../src/output/plan-text.ts";
import type { Plan } from "../../src/transaction/index.ts";

const paths = [
  "/mnt/models/active",
  "/mnt/models/active/one",
  "/mnt/models/active/two\nlines",
  "/mnt/models/cache",
  "/opt/citadel",
  "/opt/citadel/logs",
  "/opt/citadel/configs",
  "/home/agent0/.cache",
];

const directory = { type: "directory", mode: 0o755, uid: 0, gid: 0 } as const;
const plan = (all: readonly string[]): Plan =>
  ({
    command: "setup",
    operations: all.map((path) => ({
      op: "make_dir",
      path,
      before: { type: "absent" },
      after: directory,
      why: "the directory is missing",
    })),
    conflicts: [],
    onTheHost: [],
    warnings: [],
    unchanged: 0,
  }) as unknown as Plan;

describe("directoryPlaces", () => {
  test("tells a place once, its first level by name, and counts what lies below", () => {
    expect(directoryPlaces(paths)).toEqual([
      ["/mnt/models", "4 directories", "active (3), cache"],
      ["/opt/citadel", "3 directories", "logs, configs"],
      ["/home/agent0/.cache", "1 directory", ""],
    ]);
  });

  test("splits a place that says too little, and counts every directory once", () => {
    const below = ["active", "archive", "cache", "downloads", "staging"];
    const fresh = [
      "/r/mnt",
      "/r/mnt/models",
      ...below.map((name) => `/r/mnt/models/${name}`),
      "/r/mnt/backup",
      ...below.map((name) => `/r/mnt/backup/${name}`),
      "/r/opt",
      "/r/opt/citadel",
      "/r/opt/citadel/logs",
      "/r/opt/citadel/tmp",
    ];
    expect(directoryPlaces(fresh)).toEqual([
      ["/r/mnt", "13 directories", "models (6), backup (6)"],
      ["/r/opt", "1 directory", ""],
      ["/r/opt/citadel", "3 directories", "logs, tmp"],
    ]);
    const more = [...fresh, ...below.map((name) => `/r/mnt/models/active/${name}`)];
    const rows = directoryPlaces(more);
    expect(rows.map(([place]) => place)).toEqual([
      "/r/mnt",
      "/r/mnt/models",
      "/r/mnt/backup",
      "/r/opt",
      "/r/opt/citadel",
    ]);
    expect(rows.reduce((sum, [, count]) => sum + Number.parseInt(count ?? "", 10), 0)).toBe(
      more.length,
    );
  });

  test("escapes names and stops at a dozen", () => {
    const many = Array.from({ length: 20 }, (_, n) => `/srv/\u001b${n}`);
    const [row] = directoryPlaces(many);
    expect(row?.[1]).toBe("20 directories");
    expect(row?.[2]).toStartWith("\\e0, \\e1, ");
    expect(row?.[2]).toEndWith("\\e11, …");
  });
});

describe("formatPlan", () => {
  test("a brief plan names each place once; a full one every step, however many", () => {
    const brief = formatPlan(plan(paths), createStyle(false));
    expect(brief.split("\n")).toHaveLength(4);
    expect(brief).toStartWith("make directories (8)\n");
    expect(brief).not.toContain("/mnt/models/active");
    const full = formatPlan(plan(paths), createStyle(false), 0, "full");
    expect(full.split("\n")).toHaveLength(9);
    const hundred = Array.from({ length: 100 }, (_, n) => `/srv/d${n}`);
    expect(formatPlan(plan(hundred), createStyle(false), 0, "full")).toContain("/srv/d99");
  });

  test("few directories are named with mode and reason", () => {
    expect(formatPlan(plan(paths.slice(0, 2)), createStyle(false))).toContain(
      "/mnt/models/active/one  0755 0:0  the directory is missing",
    );
  });
});
