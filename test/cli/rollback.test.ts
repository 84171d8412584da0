import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { runCli } from "../support/run-cli.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/rollback-`);
});
afterEach(() => rmSync(root, { recursive: true }));

const agent = (...args: string[]) => runCli([...args, "--root", root]);

interface History {
  readonly generations: readonly { id: number; command: string; steps: number; user: string }[];
}

test("rollback 0 removes everything setup made except the agent's own log, and rollback 1 brings it back", async () => {
  expect((await agent("setup", "--yes")).exitCode).toBe(0);
  const link = `${root}/opt/citadel/models`;
  const back = await agent("rollback", "0", "--yes");
  expect(back.stderr).toContain("opt/citadel/logs stays: it holds agent.log");
  expect(back.exitCode).toBe(0);
  expect(existsSync(link)).toBe(false);
  expect(existsSync(`${root}/mnt`)).toBe(false);
  expect(existsSync(`${root}/opt/citadel/logs/agent.log`)).toBe(true);
  expect((await agent("rollback", "1", "--yes")).exitCode).toBe(0);
  expect(readlinkSync(link)).toBe(`${root}/mnt/citadel-models/active`);
  const plan = await agent("setup", "--dry-run", "--json");
  expect(plan.json<{ steps: unknown[] }>().steps).toEqual([]);
  const history = (await agent("history", "--json")).json<History>();
  expect(history.generations.map(({ id, command }) => `${id} ${command}`)).toEqual([
    "1 setup",
    "2 rollback 0",
    "3 rollback 1",
  ]);
});

test("rollback refuses with 6, and touches nothing, where somebody put a file into a directory of ours", async () => {
  await agent("setup", "--yes");
  writeFileSync(`${root}/mnt/citadel-models/active/Yi-34B-Chat/weights.safetensors`, "mine");
  const refused = await agent("rollback", "0", "--yes", "--json");
  expect(refused.exitCode).toBe(6);
  const { conflicts } = refused.json<{ conflicts: { path: string; code: string }[] }>();
  expect(conflicts[0]).toMatchObject({
    path: `${root}/mnt/citadel-models/active/Yi-34B-Chat`,
    code: "ROLLBACK_NOT_OURS",
  });
  expect((await agent("links", "verify")).exitCode).toBe(0);
});

test("rollback leaves a link that somebody else turned elsewhere, as a conflict", async () => {
  await agent("setup", "--yes");
  const link = `${root}/opt/citadel/staging`;
  unlinkSync(link);
  symlinkSync("/elsewhere", link);
  const refused = await agent("rollback", "--yes");
  expect(refused.exitCode).toBe(6);
  expect(readlinkSync(link)).toBe("/elsewhere");
});

test("rollback without a terminal and without --yes asks nobody and exits 6", async () => {
  await agent("setup", "--yes");
  const refused = await agent("rollback", "0");
  expect(refused.exitCode).toBe(6);
  expect(existsSync(`${root}/opt/citadel/models`)).toBe(true);
});

test("rollback takes a plan hash and refuses when the host is not as it was then", async () => {
  await agent("setup", "--yes");
  const { plan_hash: hash } = (await agent("rollback", "0", "--dry-run", "--json")).json<{
    plan_hash: string;
  }>();
  unlinkSync(`${root}/opt/citadel/staging`);
  const refused = await agent("rollback", "0", "--yes", "--plan-hash", hash, "--json");
  expect(refused.exitCode).toBe(6);
  expect(refused.json<{ error: { code: string } }>().error.code).toBe("PLAN_CHANGED");
});

test("rollback names what is wrong with a generation that never was", async () => {
  await agent("setup", "--yes");
  const refused = await agent("rollback", "7", "--yes");
  expect(refused.exitCode).toBe(2);
  expect(refused.stderr).toContain("there is no generation 7; the newest is 1");
});

test("history --log lists every change with what was there before", async () => {
  await agent("setup", "--yes");
  const history = await agent("history", "--log", "--json");
  const [first] = history.json<{
    generations: { changes: { op: string; from: string | null; to: string | null }[] }[];
  }>().generations;
  expect(first?.changes).toContainEqual(
    expect.objectContaining({
      op: "create_link",
      from: null,
      to: `${root}/mnt/citadel-models/staging`,
    }),
  );
});

test("history of a host that was never set up is empty and no error", async () => {
  const history = await agent("history");
  expect(history.exitCode).toBe(0);
  expect(history.stdout).toContain("no generation yet");
});

test("rollback and status say that a damaged journal cannot be read; repair goes forward from what is on disk", async () => {
  expect((await agent("setup", "--yes")).exitCode).toBe(0);
  const journal = `${root}/var/lib/citadel-agent/journal.db`;
  for (const end of ["-wal", "-shm"]) rmSync(journal + end, { force: true });
  writeFileSync(journal, "no database at all, but long enough to be taken for one".repeat(100));
  for (const words of [["rollback", "--yes"], ["rollback", "0", "--yes"], ["history"]]) {
    const refused = await agent(...words);
    expect(refused.exitCode).toBe(3);
    expect(refused.stderr).toContain("DATABASE_DAMAGED");
  }
  expect(existsSync(`${root}/opt/citadel/models`)).toBe(true);
  const status = await agent("status", "--json");
  expect(status.json<{ overall: string }>().overall).toBe("warning");
  unlinkSync(`${root}/opt/citadel/models`);
  const mended = await agent("repair", "--yes");
  expect(mended.exitCode).toBe(0);
  expect(mended.stderr).toContain("lies aside now");
  expect(readlinkSync(`${root}/opt/citadel/models`)).toBe(`${root}/mnt/citadel-models/active`);
  expect((await agent("history")).exitCode).toBe(0);
});
