import { afterAll, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { runCli } from "../support/run-cli.ts";

const directory = mkdtempSync(`${tmpdir()}/selftest-`);
afterAll(() => rmSync(directory, { recursive: true }));

test("selftest --torture keeps its promises here, leaves nothing behind and says its seed", async () => {
  const args = ["selftest", "--torture", directory, "--rounds", "3", "--seed", "11", "--json"];
  const run = await runCli(args, { timeoutMs: 120_000 });
  const report = run.json<{ ok: boolean; seed: number; promises: { violations: string[] }[] }>();
  expect(report.promises.flatMap(({ violations }) => violations)).toEqual([]);
  expect(report).toMatchObject({ ok: true, seed: 11 });
  expect(run.exitCode).toBe(0);
  expect(readdirSync(directory)).toEqual([]);
}, 150_000);

test("selftest refuses a directory that is none", async () => {
  const run = await runCli(["selftest", "--torture", `${directory}/absent`]);
  expect(run.exitCode).toBe(2);
  expect(run.stderr).toContain("not a directory");
});

const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.log("skipped: giving a directory to another user takes root");

test.skipIf(!isRoot).each(["belongs to somebody else", "can be written by everybody"])(
  "root's selftest refuses a directory that %s, and touches nothing",
  async (why) => {
    const foreign = `${directory}/${why.replaceAll(/\W/g, "-")}`;
    mkdirSync(`${foreign}/inner`, { recursive: true });
    if (why.startsWith("belongs")) chownSync(foreign, 12_345, 12_345);
    else chmodSync(foreign, 0o777);
    for (const target of [foreign, `${foreign}/inner`]) {
      const run = await runCli(["selftest", "--torture", target, "--rounds", "1", "--json"]);
      expect(run.json<{ error: object }>().error).toMatchObject({
        code: "SCRATCH_NOT_PRIVATE",
        hint: expect.stringContaining("sudo -u"),
      });
    }
    expect(readdirSync(foreign)).toEqual(["inner"]);
  },
);
