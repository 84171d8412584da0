// Every kind of damage of spec/links.md, made on a real tree, found by verify, mended by repair, gone afterwards.

import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, lchownSync, linkSync, mkdirSync, readdirSync } from "node:fs";
import { readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createLayoutRoot, isRoot, type LayoutRoot } from "../support/layout-root.ts";
import type { LinksDocument, PlanDocument } from "../support/layout-root.ts";
import { binaryPath, isFresh, scrubbedEnvironment } from "../support/run-cli.ts";

async function readyHost(options = {}): Promise<LayoutRoot> {
  const host = createLayoutRoot(options);
  const { exitCode, stderr } = await host.run(["setup", "--yes"]);
  if (exitCode !== 0) throw new Error(stderr);
  return host;
}

const model = "/opt/citadel/model-links/mixtral";
const leftover = "/opt/citadel/.citadel-agent.0123456789abcdef01234567.tmp";

function relink(host: LayoutRoot, path: string, target: string): void {
  rmSync(host.at(path), { recursive: true, force: true });
  symlinkSync(target, host.at(path));
}

interface Damage {
  readonly name: string;
  readonly harm: (host: LayoutRoot) => void;
  /** Issue of `links verify`; undefined: it is no link's. */
  readonly state?: string;
  readonly path: string;
  readonly op: string;
  readonly needsRoot?: boolean;
}

const damages: Damage[] = [
  {
    name: "a missing link",
    harm: (h) => rmSync(h.at(model)),
    state: "missing",
    path: model,
    op: "create_link",
  },
  {
    name: "a broken link",
    harm: (h) => relink(h, model, "/gone"),
    state: "broken",
    path: model,
    op: "replace_link",
  },
  {
    name: "a link whose target is gone",
    harm: (h) => rmSync(h.at("/mnt/citadel-models/active/Yi-34B-Chat"), { recursive: true }),
    state: "broken",
    path: "/mnt/citadel-models/active/Yi-34B-Chat",
    op: "make_dir",
  },
  {
    name: "a loop",
    harm: (h) => relink(h, model, "mixtral"),
    state: "loop",
    path: model,
    op: "replace_link",
  },
  {
    name: "a leftover temporary",
    harm: (h) => symlinkSync("/gone", h.at(leftover)),
    state: "leftover",
    path: leftover,
    op: "remove_leftover",
  },
  {
    name: "a link of another owner",
    harm: (h) => lchownSync(h.at(model), 7, 7),
    state: "wrong_owner",
    path: model,
    op: "set_owner",
    needsRoot: true,
  },
  {
    name: "a missing directory",
    harm: (h) => rmSync(h.at("/opt/citadel/tmp"), { recursive: true }),
    path: "/opt/citadel/tmp",
    op: "make_dir",
  },
  {
    name: "a wrong mode",
    harm: (h) => chmodSync(h.at("/mnt/citadel-backup/logs"), 0o700),
    path: "/mnt/citadel-backup/logs",
    op: "set_mode",
  },
  {
    name: "a wrong owner",
    harm: (h) => lchownSync(h.at("/mnt/citadel-backup/logs"), 7, 7),
    path: "/mnt/citadel-backup/logs",
    op: "set_owner",
    needsRoot: true,
  },
  {
    name: "a stale environment script",
    harm: (h) => {
      const path = h.at("/opt/citadel/configs/storage-env.sh");
      writeFileSync(path, readFileSync(path, "utf8").replace("HF_HOME=", "HF_HOME=/old/"));
    },
    path: "/opt/citadel/configs/storage-env.sh",
    op: "write_file",
  },
];

describe("repair", () => {
  for (const { name, harm, state, path, op, needsRoot } of damages) {
    if (needsRoot === true && !isRoot) console.log(`skipped: ${name} needs root`);
    test.skipIf(needsRoot === true && !isRoot)(`finds and mends ${name}`, async () => {
      using host = await readyHost();
      const good = host.snapshot();
      harm(host);
      const verify = state === undefined ? ["dirs", "verify"] : ["links", "verify"];
      const script = path.endsWith(".sh");
      const report = await host.run([...verify, "--json"]);
      if (!script) {
        expect(report.exitCode).toBe(3);
        const { issues } = report.json<LinksDocument>();
        expect(issues).toHaveLength(1);
        if (state !== undefined) expect(issues[0]?.state).toBe(state);
      }
      const { exitCode, stdout } = await host.run(["repair", "--yes", "--json"]);
      expect(exitCode).toBe(0);
      const plan = JSON.parse(stdout) as PlanDocument;
      expect(plan.steps.map((step) => [step.op, step.path, step.done])).toEqual([
        [op, host.at(path), true],
      ]);
      expect((await host.run([...verify])).exitCode).toBe(0);
      expect(host.snapshot()).toEqual(good);
    });
  }

  test("lists a foreign link with exit 3 and mends it only with --force", async () => {
    using host = await readyHost();
    relink(host, model, host.at("/etc"));
    rmSync(host.at("/opt/citadel/models"));
    const { exitCode, stdout } = await host.run(["repair", "--yes"]);
    expect(exitCode).toBe(3);
    expect(stdout).toContain("links create --force");
    expect(readlinkSync(host.at(model))).toBe(host.at("/etc"));
    expect(existsSync(host.at("/opt/citadel/models"))).toBe(true); // the rest was mended
    const report = (await host.run(["links", "verify", "--json"])).json<LinksDocument>();
    expect(report.issues.map((issue) => issue.state)).toEqual(["foreign"]);
    expect((await host.run(["repair", "--yes", "--force"])).exitCode).toBe(0);
    expect((await host.run(["links", "verify"])).exitCode).toBe(0);
  });

  test("lists what stands in a link's place, and never touches it, not even with --force", async () => {
    using host = await readyHost();
    rmSync(host.at(model));
    mkdirSync(host.at(model));
    writeFileSync(host.at(`${model}/weights`), "w");
    rmSync(host.at("/opt/citadel/staging"));
    writeFileSync(host.at("/opt/citadel/staging"), "notes");
    const report = (await host.run(["links", "verify", "--json"])).json<LinksDocument>();
    expect(report.issues.map((issue) => [issue.state, issue.actual])).toEqual([
      ["not_a_link", "file"],
      ["not_a_link", "directory"],
    ]);
    const before = host.snapshot();
    const result = await host.run(["repair", "--yes", "--force", "--json"]);
    expect(result.exitCode).toBe(3);
    expect(
      result
        .json<PlanDocument>()
        .left.map(({ hint }) => hint)
        .join(),
    ).toContain("--move-aside");
    expect(host.snapshot()).toEqual(before);
  });

  test("knows its own links of an older layout from foreign ones, and removes those no longer configured", async () => {
    using host = await readyHost();
    const env = {
      MODEL_MODEL_DIRECTORIES: '{"m": "Mixtral-next", "n": "New"}',
      MODEL_CONVENIENCE_LINKS: '{"mixtral": "m", "new one": "n"}',
    };
    symlinkSync(host.at("/etc"), host.at("/opt/citadel/model-links/mine"));
    const verify = await host.run(["links", "verify", "--json"], { env });
    const states = verify
      .json<LinksDocument>()
      .issues.map(({ path, state }) => [
        path.slice(host.at("/opt/citadel/model-links/").length),
        state,
      ]);
    expect(states).toContainEqual(["mixtral", "wrong_target"]);
    expect(states).toContainEqual(["new one", "missing"]);
    expect(states).toContainEqual(["yi34b", "obsolete"]);
    expect(states.some(([name]) => name === "mine")).toBe(false);
    expect((await host.run(["repair", "--yes"], { env })).exitCode).toBe(0);
    expect(readdirSync(host.at("/opt/citadel/model-links")).sort()).toEqual([
      "mine",
      "mixtral",
      "new one",
    ]);
    expect((await host.run(["links", "verify"], { env })).exitCode).toBe(0);
  });

  test("--only keeps to links or to directories", async () => {
    using host = await readyHost();
    rmSync(host.at(model));
    chmodSync(host.at("/opt/citadel/logs"), 0o700);
    await host.run(["repair", "--yes", "--only", "dirs"]);
    expect(existsSync(host.at(model))).toBe(false);
    expect(statSync(host.at("/opt/citadel/logs")).mode & 0o777).toBe(0o775);
    await host.run(["repair", "--yes", "--only", "links"]);
    expect(existsSync(host.at(model))).toBe(true);
  });

  test.skipIf(!isRoot)(
    "--permissions --files sets the owner of files, but not of those with two names",
    async () => {
      using host = await readyHost();
      const single = host.at("/mnt/citadel-models/active/weights");
      const twice = host.at("/mnt/citadel-models/active/shared");
      writeFileSync(single, "w");
      writeFileSync(twice, "s");
      linkSync(twice, host.at("/etc/other-name"));
      chmodSync(single, 0o640);
      expect((await host.run(["repair", "--yes", "--permissions"])).exitCode).toBe(0);
      expect(statSync(single).uid).toBe(0); // files only when asked for
      expect((await host.run(["repair", "--yes", "--permissions", "--files"])).exitCode).toBe(0);
      expect(statSync(single)).toMatchObject({ uid: 4711, gid: 4712 });
      expect(statSync(single).mode & 0o777).toBe(0o640);
      expect(statSync(twice).uid).toBe(0);
    },
  );

  const strace = Bun.which("strace") !== null && isFresh();
  if (!strace)
    console.log("skipped: killing at a system call needs strace and a fresh dist/citadel-agent");
  test.skipIf(!strace)("undoes what a killed command left, before it mends", async () => {
    using host = await readyHost();
    rmSync(host.at("/opt/citadel/model-links"), { recursive: true });
    const good = host.snapshot();
    // killed before the 4th link is made: the directory and three links are there, the transaction is open
    const words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=symlink,symlinkat"];
    const inject = "inject=symlink,symlinkat:signal=SIGKILL:when=4";
    const run = Bun.spawnSync(
      [...words, "-e", inject, binaryPath, "--root", host.path, "links", "create"],
      {
        env: scrubbedEnvironment,
      },
    );
    expect(String(run.signalCode)).toBe("SIGKILL"); // strace ends as its child did
    const dry = (await host.run(["repair", "--dry-run", "--json"])).json<{
      pending_transaction: unknown;
    }>();
    expect(dry.pending_transaction).toMatchObject({ command: "links create" });
    expect(host.snapshot()).not.toEqual(good); // a dry run recovers nothing
    expect((await host.run(["repair", "--yes"])).exitCode).toBe(0);
    expect((await host.run(["links", "verify"])).exitCode).toBe(0);
    expect(readdirSync(host.at("/opt/citadel/model-links"))).toHaveLength(7);
    expect(Object.keys(host.snapshot()).filter((path) => path.includes(".citadel-agent."))).toEqual(
      [],
    );
  });
});
