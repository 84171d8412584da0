import { describe, expect, test } from "bun:test";
import { runCli } from "../support/run-cli.ts";
import { World } from "./world.ts";

interface ConfigDocument {
  readonly schema: string;
  readonly settings: Readonly<
    Record<
      string,
      {
        readonly value: unknown;
        readonly origin: string;
        readonly name: string;
        readonly inert: boolean;
      }
    >
  >;
}

interface CheckDocument {
  readonly valid: boolean;
  readonly problems: readonly { readonly name: string | null; readonly rule: string }[];
}

describe("config show", () => {
  test("prints every value with origin and name, secrets masked", async () => {
    using world = new World();
    const envFile = world.write("x.env", "SYMLINK_OWNER=bob\nCITADEL_PUSH_TOKEN=hush\n");
    const args = ["config", "show", "--json", "--root", world.root, "--env-file", envFile];
    const result = await runCli(args, { env: { CITADEL_MODELS_ROOT: "/data" } });
    expect(result.exitCode).toBe(0);
    expect(result.stdout + result.stderr).not.toContain("hush");
    const { schema, settings } = result.json<ConfigDocument>();
    expect(schema).toBe("citadel.config/1");
    expect(settings["symlinks.symlink_owner"]).toEqual({
      value: "bob",
      origin: `env file ${envFile}:1`,
      name: "SYMLINK_OWNER",
      inert: false,
    });
    expect(settings["agent.push_token"]?.value).toBe("***");
    expect(settings["agent.push_url"]?.value).toBeNull();
    expect(settings["paths.models_active"]).toEqual({
      value: "/data/active",
      origin: "follows paths.models_root",
      name: "paths.models_root",
      inert: false,
    });
  });

  test("says everything that is wrong at once and ends with 2", async () => {
    using world = new World();
    const env = { BACKUP_PARALLEL_JOBS: "99", CITADEL_APP_ROOT: "" };
    const { exitCode, stdout, stderr } = await runCli(["config", "show", "--root", world.root], {
      env,
    });
    expect(exitCode).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(
      'BACKUP_PARALLEL_JOBS="99" (environment): must be a whole number from 1 to 16',
    );
    expect(stderr).toContain('CITADEL_APP_ROOT="" (environment): must be an absolute path');
  });
});

describe("config check", () => {
  test("ends with 0 when nothing is wrong, with 2 for an unknown name in a file", async () => {
    using world = new World();
    const args = ["config", "check", "--json", "--root", world.root];
    const good = await runCli(args);
    expect(good.exitCode).toBe(0);
    expect(good.json<CheckDocument>()).toMatchObject({ valid: true, problems: [] });
    world.write("etc/citadel/agent.env", "BACKUP_RETENTION_DAY=3\n");
    const bad = await runCli(args);
    expect(bad.exitCode).toBe(2);
    expect(bad.json<CheckDocument>().problems[0]?.rule).toContain(
      "did you mean BACKUP_RETENTION_DAYS?",
    );
    expect((await runCli(["config", "show", "--root", world.root])).exitCode).toBe(0);
  });
});

describe("config example", () => {
  test.each(["yaml", "env"])("as %s passes config check", async (format) => {
    using world = new World();
    const { stdout } = await runCli([
      "config",
      "example",
      "--format",
      format,
      "--preset",
      "planb-02",
    ]);
    const path = world.write(format === "yaml" ? "c.yml" : "c.env", stdout);
    const flag = format === "yaml" ? "--config" : "--env-file";
    const { exitCode, stderr } = await runCli([
      "config",
      "check",
      "--root",
      world.root,
      flag,
      path,
    ]);
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
  });
});
