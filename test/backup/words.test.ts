// What backup commands say at their end: what to do next, and that a dry run or a no has changed nothing.

import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { runCli } from "../support/run-cli.ts";
import { hasTerminal, runOnTerminal } from "../support/run-terminal.ts";
import { buildSnapshot, type Built } from "../support/snapshot-builder.ts";

setDefaultTimeout(120_000);

let root: string;
let source: string;
let snapshots: Built[];
beforeAll(() => {
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/w-`));
  source = `${root}/mnt/citadel-models/active`;
  fs.mkdirSync(source, { recursive: true });
  fs.mkdirSync(`${root}/etc/citadel`, { recursive: true });
  fs.writeFileSync(`${root}/etc/citadel/agent.yml`, "backup:\n  retention_days: 30\n");
  fs.writeFileSync(`${source}/model`, Buffer.alloc(9000, 1));
  snapshots = [1, 2, 3, 4, 5, 6].map((day) =>
    buildSnapshot(`${root}/mnt/citadel-backup`, source, { atMs: Date.UTC(2026, 0, day) }),
  );
});
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

const agent = (...args: string[]) => runCli(["--root", root, "backup", ...args]);
const one = (at: number) => snapshots[at] as Built;

test("verify advises what helps: repair by id, a look at what is extra, another snapshot where the manifest is wrong", async () => {
  const [content, extra, manifest] = [one(0), one(1), one(2)];
  fs.writeFileSync(`${content.directory}/data/model`, Buffer.alloc(9000, 2));
  fs.writeFileSync(`${extra.directory}/data/extra`, "mine");
  fs.appendFileSync(`${manifest.directory}/manifest.jsonl`, "\n");
  const said = async (id: string) => {
    const { stdout, exitCode } = await agent("verify", id);
    expect(exitCode).toBe(3);
    return stdout.trimEnd().split("\n").at(-1);
  };
  expect(await said(content.id)).toBe(
    `  mend it: citadel-agent backup repair ${content.id}; or restore from another snapshot`,
  );
  expect(await said(extra.id)).toStartWith("  nothing that was backed up is lost");
  expect(await said(manifest.id)).toStartWith("  nothing can mend that: use another snapshot");
  expect((await agent("verify", "nope")).stdout).toBe(
    "nope: NOT VALID: there is no such snapshot\n  see what there is: citadel-agent backup list\n",
  );

  const repaired = await agent("repair", extra.id);
  expect(repaired.stdout).toContain("  left data/extra: was never backed up");
  expect(repaired.stdout).not.toContain("lost");
  expect(repaired.exitCode).toBe(3);
});

test("a dry run ends with its whole hash and says that nothing was changed; --plan-hash takes that hash", async () => {
  for (const args of [
    ["create"],
    ["create", "--configs"],
    ["cleanup"],
    ["restore", one(3).id, "--to", "/restored"],
    ["repair", one(0).id],
  ]) {
    const { stdout, exitCode } = await agent(...args, "--dry-run");
    const last = stdout.trimEnd().split("\n").at(-1);
    expect({ args, last, exitCode }).toEqual({
      args,
      last: expect.stringMatching(/^plan [0-9a-f]{64}\. Nothing was changed\.$/),
      exitCode: 0,
    });
  }
  const plan =
    (await agent("repair", one(0).id, "--dry-run")).stdout.match(/plan (\w+)/)?.[1] ?? "";
  const wrong = await agent("repair", one(0).id, "--plan-hash", "0".repeat(64), "--json");
  expect(wrong.exitCode).toBe(6);
  expect(wrong.json<{ error: { code: string } }>().error.code).toBe("PLAN_CHANGED");
  expect((await agent("repair", one(0).id, "--plan-hash", plan)).stdout).toContain("valid again");
});

test.skipIf(!hasTerminal)("a no to cleanup is said, and is a document with --json", async () => {
  const args = ["--root", root, "backup", "cleanup", "0", "--force"];
  const text = await runOnTerminal(args, { input: "n\n" });
  expect(text.exitCode).toBe(6);
  expect(text.stdout).toContain("remove ");
  expect(text.stdout.trimEnd()).toEndWith("nothing was removed: the answer was no");
  const { stdout, exitCode } = await runOnTerminal([...args, "--json"], { input: "n\n" });
  expect(exitCode).toBe(6);
  const document = JSON.parse(/\{.*\}/.exec(stdout)?.[0] ?? "") as object; // behind the question
  expect(document).toMatchObject({ declined: true, removed: [], freed_bytes: 0 });
  expect(document).toHaveProperty("remove");
  expect(
    fs.readdirSync(`${root}/mnt/citadel-backup/models`).filter((name) => name.startsWith("2026")),
  ).toHaveLength(6);
});

test.skipIf(!hasTerminal)(
  "a no to a restore in place changes nothing and is no restore in the catalogue",
  async () => {
    const tree = `${root}/tree`;
    fs.mkdirSync(tree);
    fs.writeFileSync(`${tree}/model`, "mine");
    const args = ["--root", root, "backup", "restore", one(3).id, "--in-place", "--force"];
    const answer = (input: string) => runOnTerminal([...args, "--to", "/tree"], { input });
    const no = await answer("n\n");
    expect(no.stdout).toContain("replace 1 file in ");
    expect(no.stdout.trimEnd()).toEndWith("nothing was changed: the answer was no");
    expect(no.exitCode).toBe(6);
    expect(fs.readFileSync(`${tree}/model`, "utf8")).toBe("mine");
    expect(fs.readdirSync(tree)).toEqual(["model"]);
    expect(restores()).toEqual([]);
    const yes = await answer("y\n");
    expect(yes.stdout).toContain("restored 1 file");
    expect(fs.readFileSync(`${tree}/model`)).toEqual(fs.readFileSync(`${source}/model`));
    expect(restores()).toEqual([{ state: "completed" }]);
  },
);

function restores() {
  const catalog = new Database(`${root}/var/lib/citadel-agent/catalog.db`, { readonly: true });
  try {
    return catalog.query("SELECT state FROM jobs WHERE kind = 'restore'").all();
  } finally {
    catalog.close();
  }
}

test.skipIf(!hasTerminal)(
  "list, status and the plan of cleanup fit a terminal of 80 columns",
  async () => {
    for (const args of [["list"], ["status"], ["cleanup", "--dry-run"]]) {
      const { stdout } = await runOnTerminal(["--root", root, "backup", ...args]);
      const tables = stdout
        .split("\n")
        .filter((line) => /2026\d{4}T|STATE|complete|keep/.test(line));
      const tooLong = tables.filter(
        (line) => Bun.stringWidth(line) > 80 && !/warning:|damaged/.test(line),
      );
      expect({ args, tooLong }).toEqual({ args, tooLong: [] });
      expect(stdout).toContain(one(0).id);
    }
  },
);

test("paths are the real ones everywhere, below --root as well", async () => {
  const list = (await agent("list", "--json")).json<{ snapshots: { source: string }[] }>();
  const plan = (await agent("create", "--dry-run", "--json")).json<{
    source: string;
    to: string;
  }>();
  await agent("restore", one(3).id, "--to", "/restored-twice");
  const status = (await agent("status", "--json")).json<{
    sources: { source: string }[];
    jobs: { kind: string; source: string }[];
  }>();
  const named = [
    ...list.snapshots.map((each) => each.source),
    plan.source,
    ...status.sources.map((each) => each.source),
    ...status.jobs.filter(({ kind }) => kind !== "cleanup").map((each) => each.source),
  ];
  expect([...new Set(named)]).toEqual([source]);
  const none = await agent("restore", "--at", "2020-01-01", "--to", "/nothing");
  expect(none.stderr).toContain(`no snapshot of ${source} from before 2020-01-0`);
});
