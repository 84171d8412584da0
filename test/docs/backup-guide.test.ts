// Sentences of docs/guides/backup.md that nothing else tries: who needs root, what becomes of an absent backup root, the
// reserve, strangers' files on the backup disk.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { cliCommand, runCli, type RunCliOptions } from "../support/run-cli.ts";

const page = fs.readFileSync(new URL("../../docs/guides/backup.md", import.meta.url), "utf8");
const says = (sentence: string) =>
  expect(page.replaceAll(/\s+/g, " ")).toContain(sentence.replaceAll(/\s+/g, " "));

let root: string;
const disk = () => `${root}/mnt/citadel-backup`;
const agent = (words: string, options: RunCliOptions = {}) =>
  runCli(["--root", root, "backup", ...words.split(" ")], options);

beforeAll(() => {
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/guide-`));
  fs.chmodSync(root, 0o755);
  fs.mkdirSync(`${root}/mnt/citadel-models/active`, { recursive: true });
  fs.writeFileSync(`${root}/mnt/citadel-models/active/w`, "weights");
});
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

test("below --root no mounts are asked for: an absent backup root lists as empty, and is made", async () => {
  says("Below `--root DIR` no mounts are asked for.");
  const listed = await agent("list");
  expect(listed).toMatchObject({ exitCode: 0 });
  expect(listed.stdout).toStartWith("no snapshots yet");
  expect(fs.existsSync(disk())).toBe(false);
  expect(await agent("create", { env: { BACKUP_RESERVE_BYTES: "1M" } })).toMatchObject({
    exitCode: 0,
  });
  expect(fs.readdirSync(disk()).sort()).toEqual([".citadel-agent.reserve", "models"]);
}, 60_000);

test("the reserve comes back with the next create", async () => {
  const reserve = `${disk()}/.citadel-agent.reserve`;
  expect(fs.statSync(reserve).size).toBe(1 << 20);
  fs.rmSync(reserve);
  expect(await agent("create", { env: { BACKUP_RESERVE_BYTES: "1M" } })).toMatchObject({
    exitCode: 0,
  });
  expect(fs.statSync(reserve).size).toBe(1 << 20);
}, 60_000);

test("a copy of the page beside the snapshots stays", async () => {
  says("Keep a copy of that page on the backup disk, beside the snapshots; nothing removes it.");
  for (const place of [disk(), `${disk()}/models`]) {
    fs.writeFileSync(`${place}/snapshot.md`, page, { mode: 0o644 });
    fs.utimesSync(`${place}/snapshot.md`, 0, 0);
  }
  expect(await agent("cleanup 0 --keep-last 1 --force --yes")).toMatchObject({ exitCode: 0 });
  expect(await agent("verify --all")).toMatchObject({ exitCode: 0 });
  for (const place of [disk(), `${disk()}/models`]) {
    expect(fs.readFileSync(`${place}/snapshot.md`, "utf8")).toBe(page);
  }
}, 60_000);

const isRoot = process.geteuid?.() === 0 && Bun.which("setpriv") !== null;
if (!isRoot) console.log("skipped: only root (with setpriv) can become somebody else");
describe.skipIf(!isRoot)("as somebody else", () => {
  const nobody = (words: string, more: RunCliOptions = {}) => {
    const became = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    return agent(words, { ...more, command: [...became, ...cliCommand()] });
  };

  test("what the guide says works does, and what needs root says so", async () => {
    says(
      "Another user gets a use out of `--help`, `schedule list`, `schedule next` and `create --dry-run`",
    );
    for (const words of ["--help", "schedule list", "schedule next", "create --dry-run"]) {
      const run = await nobody(words);
      expect({ words, exitCode: run.exitCode }).toEqual({ words, exitCode: 0 });
    }
    for (const words of [
      "verify latest",
      "diff latest latest",
      "restore latest --to /tmp/x --dry-run",
      "repair latest --dry-run",
      "create",
    ]) {
      const run = await nobody(words);
      expect({ words, exitCode: run.exitCode }).toEqual({ words, exitCode: 1 });
      expect(run.stderr).toContain("run the command as root");
    }
  }, 60_000);
});
