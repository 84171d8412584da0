// `setup` and the commands it is made of, by the program itself on a host below --root.

import { describe, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, renameSync } from "node:fs";
import { rmSync, symlinkSync, writeFileSync } from "node:fs";
import { cliCommand, scrubbedEnvironment } from "../support/run-cli.ts";
import { createLayoutRoot, isRoot, serviceGid, serviceUid } from "../support/layout-root.ts";
import type { LayoutRoot, LinksDocument, PlanDocument } from "../support/layout-root.ts";

interface SetupDocument {
  readonly schema: string;
  readonly steps: readonly {
    readonly name: string;
    readonly ok: boolean;
    readonly changed: boolean;
  }[];
  readonly ok: boolean;
  readonly plan: PlanDocument;
}

const setUp = async (host: LayoutRoot) => {
  const result = await host.run(["setup", "--yes"]);
  expect(result.stderr).toBe("");
  expect(result.exitCode).toBe(0);
};

describe("setup", () => {
  test("lays out a fresh host in its six steps, and a second run changes nothing", async () => {
    using host = createLayoutRoot();
    const first = await host.run(["setup", "--yes", "--json"]);
    expect(first.exitCode).toBe(0);
    const document = first.json<SetupDocument>();
    expect(document.schema).toBe("citadel.setup/1");
    expect(document.steps.map(({ name }) => name)).toEqual([
      "prerequisites",
      "directories",
      "links",
      "verify",
      "environment",
      "health",
    ]);
    expect(document.ok).toBe(true);
    expect(document.plan.generation).toBe(1);
    expect(document.plan.steps.every(({ done }) => done === true)).toBe(true);
    expect(readlinkSync(host.at("/opt/citadel/models"))).toBe(
      host.at("/mnt/citadel-models/active"),
    );
    expect(readlinkSync(host.at("/home/agent0/.cache/torch"))).toBe(
      host.at("/mnt/citadel-models/cache/torch"),
    );

    const before = host.snapshot();
    const second = (await host.run(["setup", "--yes", "--json"])).json<SetupDocument>();
    expect(second.ok).toBe(true);
    expect(second.steps.some(({ changed }) => changed)).toBe(false);
    expect(second.plan).toMatchObject({ created: 0, replaced: 0, steps: [], generation: null });
    expect(second.plan.unchanged).toBe(51); // 38 directories, 12 links, the script
    expect(host.snapshot()).toEqual(before);
  });

  test("sets modes whatever the umask is, and owners when root", async () => {
    using host = createLayoutRoot();
    const child = Bun.spawn(
      [
        "sh",
        "-c",
        'umask 077; exec "$@"',
        "sh",
        ...cliCommand(),
        "--root",
        host.path,
        "setup",
        "--yes",
      ],
      { env: scrubbedEnvironment, stdout: "ignore", stderr: "pipe" },
    );
    expect(await child.stderr.text()).toBe("");
    const mode = (path: string) => (lstatSync(host.at(path)).mode & 0o7777).toString(8);
    expect(mode("/opt/citadel")).toBe("755");
    for (const path of ["/opt/citadel/tmp", "/opt/citadel/logs", "/mnt/citadel-models/cache"]) {
      expect([path, mode(path)]).toEqual([path, "775"]);
    }
    expect(mode("/mnt/citadel-models/downloads")).toBe("775");
    expect(mode("/opt/citadel/configs/storage-env.sh")).toBe("644");
    if (!isRoot) return;
    for (const path of [
      "/mnt/citadel-models",
      "/opt/citadel/models",
      "/home/agent0/.cache/torch",
    ]) {
      const { uid, gid } = lstatSync(host.at(path));
      expect([path, uid, gid]).toEqual([path, serviceUid, serviceGid]);
    }
  });

  test("--dry-run changes nothing and names a hash; --plan-hash refuses when the plan is another", async () => {
    using host = createLayoutRoot();
    const before = host.snapshot();
    const plan = (await host.run(["setup", "--dry-run", "--json"])).json<PlanDocument>();
    expect(plan.schema).toBe("citadel.plan/1");
    expect(plan.steps.length).toBeGreaterThan(50);
    expect(host.snapshot()).toEqual(before);
    expect(existsSync(host.at("/var"))).toBe(false);

    mkdirSync(host.at("/opt"));
    const refused = await host.run(["setup", "--yes", "--plan-hash", plan.plan_hash]);
    expect(refused.exitCode).toBe(6);
    expect(existsSync(host.at("/opt/citadel"))).toBe(false);

    const again = (await host.run(["setup", "-n", "--json"])).json<PlanDocument>();
    const done = await host.run(["setup", "--yes", "--plan-hash", again.plan_hash]);
    expect(done.exitCode).toBe(0);
  });

  test("asks, and without a terminal and --yes changes nothing and ends with 6", async () => {
    using host = createLayoutRoot();
    const { exitCode, stdout, stderr } = await host.run(["setup"]);
    expect(exitCode).toBe(6);
    expect(stdout).toContain("make directories");
    expect(stderr).toContain("--yes");
    expect(existsSync(host.at("/opt"))).toBe(false);
  });

  test("a conflict stops everything with 6; move-aside settles it", async () => {
    using host = createLayoutRoot();
    mkdirSync(host.at("/opt/citadel/downloads"), { recursive: true });
    writeFileSync(host.at("/opt/citadel/downloads/weights.bin"), "w");
    writeFileSync(host.at("/opt/citadel/staging"), "notes");
    const before = host.snapshot();
    const refused = await host.run(["setup", "--yes", "--json"]);
    expect(refused.exitCode).toBe(6);
    const { ok, plan } = refused.json<SetupDocument>();
    expect(ok).toBe(false);
    expect(plan.conflicts.map(({ code }) => code)).toEqual([
      "LINK_PLACE_TAKEN",
      "LINK_PLACE_TAKEN",
    ]);
    expect(host.snapshot()).toEqual(before);

    const done = await host.run(["setup", "--yes", "--move-aside"]);
    expect(done.exitCode).toBe(0);
    expect(readlinkSync(host.at("/opt/citadel/downloads"))).toContain("/downloads");
    const aside = Object.entries(host.snapshot()).filter(([path]) => path.includes(".moved-"));
    expect(aside).toHaveLength(3); // the file, the directory and what it holds
    expect(aside.some(([, state]) => state.endsWith("notes"))).toBe(true);
  });

  test("a conflict of a cache link alone never stops the rest: exit 4, listed with --adopt", async () => {
    using host = createLayoutRoot();
    mkdirSync(host.at("/home/agent0/.cache/huggingface/hub"), { recursive: true });
    const { exitCode, stdout } = await host.run(["setup", "--yes"]);
    expect(exitCode).toBe(4);
    expect(stdout).toContain("--adopt");
    expect(lstatSync(host.at("/opt/citadel/models")).isSymbolicLink()).toBe(true);
    expect(lstatSync(host.at("/home/agent0/.cache/torch")).isSymbolicLink()).toBe(true);
  });

  test("--adopt moves the content of a real directory into the target, whose link takes its place", async () => {
    using host = createLayoutRoot();
    mkdirSync(host.at("/opt/citadel/downloads"), { recursive: true });
    writeFileSync(host.at("/opt/citadel/downloads/weights.bin"), "w");
    mkdirSync(host.at("/home/agent0/.cache/huggingface/hub"), { recursive: true });
    writeFileSync(host.at("/opt/citadel/staging"), "notes");
    expect((await host.run(["setup", "--yes", "--adopt"])).exitCode).toBe(0);
    expect(readFileSync(host.at("/mnt/citadel-models/staging/staging"), "utf8")).toBe("notes");
    expect(readFileSync(host.at("/mnt/citadel-models/downloads/weights.bin"), "utf8")).toBe("w");
    expect(existsSync(host.at("/mnt/citadel-models/cache/hub"))).toBe(true);
    expect((await host.run(["links", "verify"])).exitCode).toBe(0);
  });

  test("a cache that cannot be adopted never stops the rest either: exit 4, nothing of it touched", async () => {
    using host = createLayoutRoot();
    mkdirSync(host.at("/home/agent0/.cache/torch"), { recursive: true });
    mkdirSync(host.at("/mnt/citadel-models/cache/torch"), { recursive: true });
    writeFileSync(host.at("/home/agent0/.cache/torch/hub"), "mine");
    writeFileSync(host.at("/mnt/citadel-models/cache/torch/hub"), "other");
    const planned = await host.run(["setup", "--dry-run", "--adopt", "--json"]);
    expect(planned.json<{ left: unknown[] }>().left).toMatchObject([
      { path: host.at("/home/agent0/.cache/torch"), code: "ADOPT_CONFLICT" },
    ]);
    const { exitCode, stdout } = await host.run(["setup", "--yes", "--adopt"]);
    expect(exitCode).toBe(4);
    expect(stdout).toContain("different content");
    expect(stdout.match(/different content/g)).toHaveLength(1);
    expect(readFileSync(host.at("/home/agent0/.cache/torch/hub"), "utf8")).toBe("mine");
    expect(readFileSync(host.at("/mnt/citadel-models/cache/torch/hub"), "utf8")).toBe("other");
    expect(lstatSync(host.at("/opt/citadel/models")).isSymbolicLink()).toBe(true);
  });

  test("a link among the parents is named once; above the home it stops only the cache links", async () => {
    using host = createLayoutRoot();
    mkdirSync(host.at("/data/opt"), { recursive: true });
    symlinkSync("data/opt", host.at("/opt"));
    const refused = await host.run(["setup", "--yes", "--json"]);
    expect(refused.exitCode).toBe(6);
    const { conflicts } = refused.json<SetupDocument>().plan;
    expect(conflicts).toMatchObject([{ path: host.at("/opt"), code: "SYMLINK_IN_PATH" }]);
    rmSync(host.at("/opt"));
    renameSync(host.at("/home"), host.at("/data/home"));
    symlinkSync("data/home", host.at("/home"));
    expect((await host.run(["setup", "--yes"])).exitCode).toBe(4);
    expect(lstatSync(host.at("/opt/citadel/models")).isSymbolicLink()).toBe(true);
    expect(existsSync(host.at("/data/home/agent0/.cache"))).toBe(false);
  });

  test("a missing owner is a warning and its cache links are skipped, with the reason", async () => {
    using host = createLayoutRoot({ user: false });
    const { exitCode, stdout, stderr } = await host.run(["setup", "--yes"]);
    expect(exitCode).toBe(0);
    expect(stdout + stderr).toContain("the user agent0 does not exist");
    const report = (await host.run(["links", "verify", "--json"])).json<LinksDocument>();
    expect(report.issues.map(({ state }) => state)).toEqual(["skipped", "skipped"]);
    expect((await host.run(["repair", "--permissions", "--yes"])).exitCode).toBe(1);
  });

  test("numeric owners are taken as they are", async () => {
    using host = createLayoutRoot({ user: false });
    const env = { SYMLINK_OWNER: "4321", SYMLINK_GROUP: "1234" };
    expect((await host.run(["setup", "--yes"], { env })).exitCode).toBe(0);
    if (isRoot) {
      expect(lstatSync(host.at("/opt/citadel/models"))).toMatchObject({ uid: 4321, gid: 1234 });
    }
  });

  test("changed paths stop with 6 until somebody accepts them", async () => {
    using host = createLayoutRoot();
    await setUp(host);
    const env = { CITADEL_MODELS_ROOT: "/srv/models" };
    for (const command of [
      ["links", "create"],
      ["dirs", "create"],
      ["repair", "--yes"],
      ["setup", "--yes"],
    ]) {
      const { exitCode, stderr } = await host.run(command, { env });
      expect([command, exitCode]).toEqual([command, 6]);
      expect(stderr).toContain("/srv/models");
    }
    expect(existsSync(host.at("/srv"))).toBe(false);
    const accepted = await host.run(["setup", "--yes", "--accept-paths"], { env });
    expect(accepted.exitCode).toBe(0);
    expect(readlinkSync(host.at("/opt/citadel/models"))).toBe(host.at("/srv/models/active"));
    expect((await host.run(["setup", "--yes"], { env })).exitCode).toBe(0);
  });

  test("a shell that sourced the script of a relocated tree steers nothing", async () => {
    using host = createLayoutRoot();
    await setUp(host);
    const env = (await host.run(["env", "--shell", "json"])).json<Record<string, string>>();
    const again = (await host.run(["setup", "--yes", "--json"], { env })).json<SetupDocument>();
    expect(again.plan).toMatchObject({ steps: [], generation: null });
    expect((await host.run(["links", "verify"], { env })).exitCode).toBe(0);
  });

  test("works in a root whose name holds blanks, quotes and a newline", async () => {
    using host = createLayoutRoot({ name: `a 'b' "c" $d\n&e` });
    await setUp(host);
    expect((await host.run(["links", "verify"])).exitCode).toBe(0);
    const script = host.at("/opt/citadel/configs/storage-env.sh");
    for (const shell of ["bash", "dash"]) {
      if (Bun.which(shell) === null) continue;
      const words = [
        shell,
        "-eu",
        "-c",
        '. "$1"; printf %s "$CITADEL_MODEL_MIXTRAL"',
        shell,
        script,
      ];
      const run = Bun.spawnSync(words, { env: { PATH: "/usr/bin:/bin" } });
      expect(run.stderr.toString()).toBe("");
      expect(run.stdout.toString()).toBe(
        host.at("/mnt/citadel-models/active/Mixtral-8x7B-Instruct-v0.1"),
      );
    }
  });

  test("--links inside writes targets and the script as the booted image sees them", async () => {
    using host = createLayoutRoot();
    expect((await host.run(["setup", "--yes", "--links", "inside"])).exitCode).toBe(0);
    expect(readlinkSync(host.at("/opt/citadel/models"))).toBe("/mnt/citadel-models/active");
    const script = readFileSync(host.at("/opt/citadel/configs/storage-env.sh"), "utf8");
    expect(script).toContain("'/mnt/citadel-models/active'");
    expect(script).not.toContain(host.path);
    expect((await host.run(["links", "verify", "--links", "inside"])).exitCode).toBe(0);
  });

  const setpriv = isRoot && Bun.which("setpriv") !== null;
  if (!setpriv) console.log("skipped: another user needs root and setpriv");
  test.skipIf(!setpriv)(
    "names every path that a user without rights cannot change, and changes nothing",
    async () => {
      using host = createLayoutRoot();
      Bun.spawnSync(["chmod", "711", `${host.path}/..`]);
      mkdirSync(host.at("/opt"));
      mkdirSync(host.at("/mnt"));
      const before = host.snapshot();
      const words = ["setpriv", "--reuid=4711", "--regid=4712", "--clear-groups", ...cliCommand()];
      const run = Bun.spawnSync([...words, "--root", host.path, "setup", "--yes"], {
        env: scrubbedEnvironment,
      });
      const stderr = run.stderr.toString();
      expect(run.exitCode).toBe(1);
      for (const path of ["/opt/citadel", "/mnt/citadel-models", "/mnt/citadel-backup"]) {
        expect(stderr).toContain(path);
      }
      expect(host.snapshot()).toEqual(before);
    },
  );

  test.skipIf(!setpriv)("needs no privilege below a root of one's own", async () => {
    using host = createLayoutRoot();
    Bun.spawnSync(["chown", "-R", "4711:4712", `${host.path}/..`]);
    const words = ["setpriv", "--reuid=4711", "--regid=4712", "--clear-groups", ...cliCommand()];
    const run = Bun.spawnSync([...words, "--root", host.path, "setup", "--yes"], {
      env: scrubbedEnvironment,
    });
    expect(run.stderr.toString()).toBe("");
    expect(run.exitCode).toBe(0);
    expect(lstatSync(host.at("/opt/citadel/models")).uid).toBe(4711);
  });
});

describe("links create", () => {
  test("counts created, replaced and unchanged apart, and writes nothing the second time", async () => {
    using host = createLayoutRoot();
    const first = (await host.run(["links", "create", "--json"])).json<PlanDocument>();
    expect(first.steps.filter(({ op }) => op === "create_link")).toHaveLength(12);
    rmSync(host.at("/opt/citadel/models"));
    rmSync(host.at("/opt/citadel/staging"));
    symlinkSync("/gone", host.at("/opt/citadel/staging"));
    const second = (await host.run(["links", "create", "--json"])).json<PlanDocument>();
    expect(second).toMatchObject({ created: 1, replaced: 1, unchanged: 10 });
    const third = (await host.run(["links", "create", "--json"])).json<PlanDocument>();
    expect(third).toMatchObject({ created: 0, replaced: 0, unchanged: 12, transaction: null });
  });

  test("SYMLINK_FORCE_RECREATE and --force replace foreign links, and nothing else", async () => {
    using host = createLayoutRoot();
    await setUp(host);
    rmSync(host.at("/opt/citadel/staging"));
    symlinkSync(host.at("/etc"), host.at("/opt/citadel/staging"));
    expect((await host.run(["links", "create"])).exitCode).toBe(6);
    expect(readlinkSync(host.at("/opt/citadel/staging"))).toBe(host.at("/etc"));
    const env = { SYMLINK_FORCE_RECREATE: "true" };
    expect((await host.run(["links", "create"], { env })).exitCode).toBe(0);
    expect(readlinkSync(host.at("/opt/citadel/staging"))).toContain("citadel-models/staging");
  });

  test("fails and lists the links whose targets are missing and may not be made", async () => {
    using host = createLayoutRoot();
    const env = { SYMLINK_CREATE_MISSING_TARGETS: "false" };
    const { exitCode, stdout } = await host.run(["links", "create"], { env });
    expect(exitCode).toBe(6);
    expect(stdout).toContain("LINK_TARGET_MISSING");
    expect(stdout).toContain("/opt/citadel/model-links/mixtral");
    expect(existsSync(host.at("/opt"))).toBe(false);
    expect((await host.run(["dirs", "create"], { env })).exitCode).toBe(0);
    expect((await host.run(["links", "create"], { env })).exitCode).toBe(0);
  });
});

describe("env", () => {
  test("prints the script, the JSON object and the document; --write is idempotent", async () => {
    using host = createLayoutRoot();
    const script = await host.run(["env"]);
    expect(script.stdout).toContain("export CITADEL_MODELS_ACTIVE=");
    const values = (await host.run(["env", "--shell", "json"])).json<Record<string, string>>();
    expect(Object.keys(values)).toHaveLength(27); // 26 and CITADEL_ENV_ID
    const document = (await host.run(["env", "--json"])).json<{
      variables: object;
      count: number;
    }>();
    expect(document.count).toBe(26);
    expect((await host.run(["env", "--shell", "fish"])).stdout).toContain("set -gx HF_HOME ");
    expect((await host.run(["env", "--write"])).exitCode).toBe(0);
    expect((await host.run(["dirs", "create"])).exitCode).toBe(0);
    expect((await host.run(["env", "--write", "--force"])).exitCode).toBe(0);
    const log = readFileSync(host.at("/opt/citadel/logs/agent.log"), "utf8").trimEnd().split("\n");
    expect(log.map((line) => (JSON.parse(line) as { command: string }).command)).toContain("env");
    expect(readFileSync(host.at("/opt/citadel/configs/storage-env.sh"), "utf8")).toBe(
      script.stdout,
    );
    const again = (await host.run(["env", "--write", "--json"])).json<PlanDocument>();
    expect(again).toMatchObject({ steps: [], unchanged: 1 });
  });

  test("never writes over a script of somebody else unasked", async () => {
    using host = createLayoutRoot();
    const path = host.at("/opt/citadel/configs/storage-env.sh");
    mkdirSync(host.at("/opt/citadel/configs"), { recursive: true });
    writeFileSync(path, "export MINE=1\n");
    expect((await host.run(["env", "--write"])).exitCode).toBe(6);
    expect(readFileSync(path, "utf8")).toBe("export MINE=1\n");
    expect((await host.run(["env", "--write", "--move-aside"])).exitCode).toBe(0);
    expect(readFileSync(path, "utf8")).toContain("CITADEL_ENV_ID");
  });
});
