import { readFileSync } from "node:fs";
import { describe, expect, test } from "bun:test";
import { environmentId, generatedPathNames } from "../../src/core/index.ts";
import { formatOrigin, formatProblem, loadSettings } from "../../src/settings/index.ts";
import { createHostPaths, readEnvironment } from "../../src/system/index.ts";
import { inspectWith, problemsOf, World } from "./world.ts";

const messages = (inspected: { warnings: readonly { message: string }[] }) =>
  inspected.warnings.map(({ message }) => message);

describe("precedence", () => {
  const key = "backup.parallel_jobs";
  const sources = ["flag", "environment", "env-file", "config-file", "default"] as const;

  test.each(sources.map((kind, at) => [kind, at] as const))(
    "%s wins over everything weaker",
    (kind, at) => {
      using world = new World();
      const isOn = (which: (typeof sources)[number]) => sources.indexOf(which) >= at;
      if (isOn("config-file"))
        world.write("etc/citadel/agent.yml", "backup:\n  parallel_jobs: 13\n");
      if (isOn("env-file")) world.write("etc/citadel/agent.env", "BACKUP_PARALLEL_JOBS=12\n");
      const variables: Record<string, string> = isOn("environment")
        ? { BACKUP_PARALLEL_JOBS: "11" }
        : {};
      const overrides = isOn("flag") ? { [key]: { flag: "--jobs", value: "10" } } : {};
      if (kind === "default") {
        world.write("etc/citadel/agent.yml", "");
        world.write("etc/citadel/agent.env", "");
      }
      const { settings, origins } = world.inspect(kind === "default" ? {} : variables, {
        overrides,
      });
      expect(settings.backup.parallel_jobs).toBe([10, 11, 12, 13, 4][at] ?? 0);
      expect(origins.get(key)?.kind).toBe(kind);
    },
  );

  test("an env file that was named replaces the one below /etc, which replaces .env", () => {
    using world = new World();
    world.write("work/.env", "MODEL_DOWNLOAD_TIMEOUT=1\n");
    expect(world.inspect().settings.models.download_timeout).toBe(1);
    world.write("etc/citadel/agent.env", "MODEL_DOWNLOAD_TIMEOUT=2\n");
    expect(world.inspect().settings.models.download_timeout).toBe(2);
    const envFile = world.write("other.env", "MODEL_DOWNLOAD_TIMEOUT=3\n");
    expect(world.inspect({}, { envFile }).settings.models.download_timeout).toBe(3);
  });

  test("a weaker value that is wrong does not matter", () => {
    using world = new World();
    world.write("etc/citadel/agent.env", "BACKUP_PARALLEL_JOBS=99\n");
    expect(world.inspect({ BACKUP_PARALLEL_JOBS: "2" }).problems).toEqual([]);
    expect(world.inspect().problems).toHaveLength(1);
  });

  test("loading looks at the environment of the call, not of the start", () => {
    using world = new World();
    expect(world.inspect({ BACKUP_PARALLEL_JOBS: "2" }).settings.backup.parallel_jobs).toBe(2);
    expect(world.inspect({ BACKUP_PARALLEL_JOBS: "3" }).settings.backup.parallel_jobs).toBe(3);
  });
});

describe("names", () => {
  test("are taken in any case; in a file the last line wins, in the environment the upper-case one", () => {
    using world = new World();
    world.write(
      "etc/citadel/agent.env",
      "citadel_app_root=/a\nCITADEL_APP_ROOT=/b\nCitadel_App_Root=/c\n",
    );
    expect(world.inspect().settings.paths.app_root).toBe("/c");
    expect(world.inspect({ citadel_app_root: "/d" }).settings.paths.app_root).toBe("/d");
    const both = { citadel_app_root: "/e", CITADEL_APP_ROOT: "/f" };
    expect(world.inspect(both).settings.paths.app_root).toBe("/f");
  });

  test("the aliases of owner and group count, the long names win, and the origin tells which was used", () => {
    const alias = inspectWith({ SYMLINK_OWNER: "bob" });
    expect(alias.settings.symlinks.symlink_owner).toBe("bob");
    expect(alias.origins.get("symlinks.symlink_owner")?.name).toBe("SYMLINK_OWNER");
    const both = inspectWith({ SYMLINK_SYMLINK_GROUP: "long", SYMLINK_GROUP: "short" });
    expect(both.settings.symlinks.symlink_group).toBe("long");
    expect(both.origins.get("symlinks.symlink_group")?.name).toBe("SYMLINK_SYMLINK_GROUP");
  });

  test("an unknown one in the environment is one remark for --verbose, with the nearest right name", () => {
    const { warnings, problems } = inspectWith({
      BACKUP_RETENTION_DAY: "1",
      MODEL_FOO: "x",
      PATH: "/bin",
    });
    expect(problems).toEqual([]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.verboseOnly).toBe(true);
    expect(warnings[0]?.message).toContain("did you mean BACKUP_RETENTION_DAYS?");
    expect(warnings[0]?.message).toContain("MODEL_FOO");
  });

  test("an unknown one in an env file is a warning that `config check` takes for an error", () => {
    using world = new World();
    const path = world.write("etc/citadel/agent.env", "\nBACKUP_RETENTION_DAY=1\n");
    const { warnings } = world.inspect();
    expect(warnings).toMatchObject([{ verboseOnly: false, failsCheck: true }]);
    expect(warnings[0]?.message).toContain(`${path}:2`);
  });

  test("the variable of a model's alias is known, that of no alias is not", () => {
    const known = inspectWith({
      CITADEL_MODEL_MIXTRAL: "/x",
      CITADEL_ENV_ID: "x",
      BACKUP_INTERVAL: "9",
    });
    expect(known.warnings).toEqual([]);
    expect(messages(inspectWith({ CITADEL_MODEL_NOBODY: "/x" }))).toHaveLength(1);
  });

  test("generic names count in an env file and nowhere else", () => {
    using world = new World();
    expect(world.inspect({ PORT: "80", HOST: "0.0.0.0" }).settings.service).toEqual({
      host: "127.0.0.1",
      port: 3001,
    });
    world.write(
      "etc/citadel/agent.env",
      "PORT=8080\nHOST=0.0.0.0\nMINIO_ENDPOINT=x\nNODE_ENV=production\n",
    );
    const { settings, warnings } = world.inspect();
    expect(settings.service).toEqual({ host: "0.0.0.0", port: 8080 });
    expect(warnings).toEqual([]);
  });
});

describe("whole groups", () => {
  test("a JSON object overrides single names of the same source, and values are converted", () => {
    const { settings, problems } = inspectWith({
      MONITORING: '{"check_interval": "5", "model_ports": {"a": "99"}}',
      STORAGE_MONITOR_CHECK_INTERVAL: "7",
      PATHS: '{"models_root": "/data"}',
    });
    expect(problems).toEqual([]);
    expect(settings.monitoring.check_interval).toBe(5);
    expect(settings.monitoring.model_ports).toEqual({ a: 99 });
    expect(settings.paths.models_active).toBe("/data/active");
  });

  test.each(["PATHS", "MODELS", "SYMLINKS", "MONITORING", "BACKUP"])(
    "%s with other text is ignored with a warning",
    (name) => {
      for (const text of ["yes", "[1]", "3", "", '"x"', "{bad"]) {
        const { problems, warnings } = inspectWith({ [name]: text });
        expect(problems).toEqual([]);
        expect(warnings).toMatchObject([{ verboseOnly: false, failsCheck: false }]);
      }
    },
  );
});

describe("derived paths", () => {
  test("follow the root that was set, unless they were set themselves", () => {
    const { settings, origins } = inspectWith({
      CITADEL_MODELS_ROOT: "/data//m/",
      CITADEL_TORCH_CACHE: "/fast/torch",
    });
    expect(settings.paths).toMatchObject({
      models_root: "/data/m",
      models_active: "/data/m/active",
      hf_cache: "/data/m/cache",
      vllm_cache: "/data/m/cache/vllm",
      torch_cache: "/fast/torch",
      app_models: "/opt/citadel/models",
    });
    expect(formatOrigin(origins.get("paths.vllm_cache") ?? { kind: "default", name: "" })).toBe(
      "follows paths.models_cache",
    );
  });

  test("a path of a weak source stands against a root of a strong one", () => {
    using world = new World();
    world.write("etc/citadel/agent.yml", "paths:\n  models_active: /own/active\n");
    expect(world.inspect({ CITADEL_MODELS_ROOT: "/data" }).settings.paths).toMatchObject({
      models_active: "/own/active",
      models_cache: "/data/cache",
    });
  });
});

describe("the environment of a sourced storage-env.sh", () => {
  /** What the script exports for a model root. */
  function sourced(modelsRoot: string): Record<string, string> {
    const { settings } = inspectWith({ CITADEL_MODELS_ROOT: modelsRoot });
    const paths = settings.paths as Readonly<Record<string, string>>;
    const values = Object.fromEntries(
      generatedPathNames.map((name) => [name, paths[name.slice(8).toLowerCase()] ?? ""]),
    );
    return { ...values, CITADEL_ENV_ID: environmentId(values) };
  }

  test("ranks below the configuration file, and its children follow a root from there", () => {
    using world = new World();
    const variables = sourced("/old");
    const alone = world.inspect(variables);
    expect(alone.settings.paths.models_active).toBe("/old/active");
    expect(alone.origins.get("paths.models_active")?.kind).toBe("script");
    expect(alone.settings.paths.vllm_cache).toBe("/old/cache/vllm");
    world.write("etc/citadel/agent.yml", "paths:\n  models_root: /new\n");
    const { paths } = world.inspect(variables).settings;
    expect(paths).toMatchObject({
      models_root: "/new",
      models_active: "/new/active",
      vllm_cache: "/new/cache/vllm",
    });
  });

  test("counts as set by hand as soon as one value is not the script's", () => {
    using world = new World();
    world.write("etc/citadel/agent.yml", "paths:\n  models_root: /new\n");
    const variables = { ...sourced("/old"), CITADEL_MODELS_CACHE: "/mine" };
    const { settings, origins } = world.inspect(variables);
    expect(settings.paths.models_root).toBe("/old");
    expect(origins.get("paths.models_root")?.kind).toBe("environment");
  });
});

describe("the original's example file", () => {
  const text = readFileSync(new URL("../fixtures/settings/original.env", import.meta.url), "utf8");

  test("loads unchanged, with its quirks", () => {
    using world = new World();
    world.write("etc/citadel/agent.env", text);
    expect(text.endsWith("\n")).toBe(false);
    const { settings, problems, warnings, origins } = world.inspect();
    expect(problems).toEqual([]);
    expect(warnings).toEqual([]);
    expect(settings.backup.backup_schedule).toBe("0 2 * * *");
    expect(settings.symlinks.directory_mode).toBe("0755");
    expect(settings.monitoring.model_ports).toEqual({ mixtral: 11400, hermes: 11401 });
    expect(settings.backup.compression_level).toBe(3);
    expect(origins.get("backup.compression_level")?.kind).toBe("env-file");
    expect(origins.get("symlinks.symlink_owner")?.name).toBe("SYMLINK_OWNER");
  });

  test("gives its foreign tokens away nowhere", () => {
    using world = new World();
    world.write("etc/citadel/agent.env", `${text}\nBACKUP_PARALLEL_JOBS=\${HF_TOKEN}x`);
    const { settings, warnings } = world.inspect();
    expect(JSON.stringify([settings, warnings])).not.toContain("quirksQuirks");
  });
});

describe("a configuration file", () => {
  const yaml = `monitor:
  check_interval: 5 # seconds
symlinks:
  directory_mode: 0750
models:
  model_directories:
    a: dir-a
  convenience_links: {x: a}
storage:
  providers: {local: {type: local}}
agent:
  history_keep: {generations: 5}
  push_url:
backup:
`;
  const toml = `[monitoring]
check_interval = 5
[symlinks]
directory_mode = 0o750
[models]
convenience_links = { x = "a" }
[models.model_directories]
a = "dir-a"
[agent]
history_keep = "5"
`;
  const json = JSON.stringify({
    monitoring: { check_interval: 5 },
    symlinks: { directory_mode: "0750" },
    models: { model_directories: { a: "dir-a" }, convenience_links: { x: "a" } },
    agent: { history_keep: 5 },
  });

  test.each([
    ["yml", yaml],
    ["toml", toml],
    ["json", json],
  ])("is read as %s", (extension, text) => {
    using world = new World();
    const config = world.write(`c.${extension}`, text);
    const { settings, problems, configFile } = world.inspect({}, { config });
    expect(problems).toEqual([]);
    expect(configFile).toBe(config);
    expect(settings.monitoring.check_interval).toBe(5);
    expect(settings.symlinks.directory_mode).toBe("0750");
    expect(settings.models.model_directories).toEqual({ a: "dir-a" });
    expect(settings.models.convenience_links).toEqual({ x: "a" });
    expect(settings.agent.history_keep).toEqual({ generations: 5, days: 365 });
  });

  test("names every error at once, with its line and what was meant", () => {
    using world = new World();
    const config = world.write(
      "c.yml",
      "path:\n  x: 1\nbackup:\n  parallel_job: 4\n  retention_days: 0\n  retention_days: -1\npaths: 3\n",
    );
    const { problems } = world.inspect({ CITADEL_APP_ROOT: "" }, { config });
    const lines = problems.map(({ name, source, rule }) => `${name} ${source}: ${rule}`).sort();
    expect(lines).toEqual([
      expect.stringMatching(/^CITADEL_APP_ROOT environment: must be an absolute path/),
      `backup.parallel_job configuration file ${config}:4: unknown setting; did you mean parallel_jobs?`,
      `backup.retention_days config${"uration file"} ${config}:6: is said twice`,
      expect.stringMatching(/^backup.retention_days .*c.yml:6: must be a whole number from 1/),
      `path configuration file ${config}:1: unknown group; did you mean paths?`,
      `paths configuration file ${config}:7: must be a mapping of keys to values`,
    ]);
  });

  test.each([
    ["c.yml", "a: [\n", "Unexpected"],
    ["c.yml", "- a\n", "one mapping"],
    ["c.yml", "a: 1\n---\nb: 2\n", "one mapping"],
    ["c.toml", "[a\n", "table header"],
    ["c.conf", "", "must end in"],
  ])("%s with %j is an error that says why", (name, text, reason) => {
    using world = new World();
    const { problems } = world.inspect({}, { config: world.write(name, text) });
    expect(problems).toHaveLength(1);
    expect(problems[0]?.rule).toContain(reason);
  });

  test.each([
    ["c.yml", "a: 1\nb: [\nc: 3\nd: 4\n", 2],
    ["c.yml", "paths:\n  app_root: /x\n  app_logs: a: b\n", 3],
    ["c.toml", "[paths]\n\n[paths\napp_root = 1\n", 3],
  ])("%s with %j is reported on line %d or beside it", (name, text, line) => {
    using world = new World();
    const config = world.write(name, text);
    const [problem] = world.inspect({}, { config }).problems;
    expect(problem?.source).toBe(`configuration file ${config}:${line}`);
  });

  test.each([
    ["c.yml", "backup: &a\n  retention_days: *a\n", "holds itself"],
    ["c.yml", `backup: ${"[".repeat(100_000)}`, "YAML|call stack"],
    ["c.yml", "backup:\n  retention_days: .nan\n", "=NaN"],
    ["c.toml", "[backup]\nretention_days = 1979-05-27\n", "1979-05-27"],
    ["c.toml", "[backup]\nretention_days = 99999999999999999999\n", "range"],
    ["c.toml", "a\0b", "TOML"],
  ])("%s with a strange value is one problem, not a crash", (name, text, said) => {
    using world = new World();
    const { problems } = world.inspect({}, { config: world.write(name, text) });
    expect(problems.map(formatProblem)).toEqual([expect.stringMatching(new RegExp(said))]);
  });

  test("keeps octal modes as they were written, quoted or not", () => {
    using world = new World();
    for (const [written, mode] of [
      ["0750", "0750"],
      ["750", "0750"],
      ["0o750", "0750"],
      ['"0750"', "0750"],
      ["'2770'", "2770"],
    ]) {
      const config = world.write("c.yml", `symlinks:\n  directory_mode: ${written} # mode\n`);
      expect(world.inspect({}, { config }).settings.symlinks.directory_mode).toBe(mode ?? "");
    }
    const flow = world.write("c.yml", "symlinks: {directory_mode: 0644}\n");
    expect(world.inspect({}, { config: flow }).problems).toHaveLength(1);
  });

  test("may hold the groups of the object store and the keys of the storage service", () => {
    using world = new World();
    const config = world.write(
      "c.yml",
      "storage:\n  providers: {x: {type: s3}}\nservice:\n  port: 4000\n  sqlite_path: /x\n",
    );
    const { settings, problems } = world.inspect({}, { config });
    expect(problems).toEqual([]);
    expect(settings.service.port).toBe(4000);
  });

  test("refuses aliases named as parts of objects", () => {
    for (const key of ["__proto__", "constructor", "prototype"]) {
      const { problems } = inspectWith({ MODEL_CONVENIENCE_LINKS: `{"${key}": "yi-34b-chat"}` });
      expect(problems).toHaveLength(1);
    }
  });

  test("cannot reach the prototypes of objects", () => {
    using world = new World();
    const config = world.write(
      "c.yml",
      'models:\n  convenience_links: {"__proto__": "yi-34b-chat"}\n__proto__:\n  x: 1\n',
    );
    world.inspect({}, { config });
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
    expect(Object.prototype).not.toHaveProperty("yi-34b-chat");
  });
});

describe("loadSettings", () => {
  test("throws one error that names every problem", () => {
    using world = new World();
    const environment = {
      ...readEnvironment(),
      variables: {
        BACKUP_PARALLEL_JOBS: "99",
        CITADEL_MODELS_ROOT: "rel",
        MODEL_MODEL_DIRECTORIES: "{",
      },
      workingDirectory: world.workingDirectory,
    };
    const system = { environment, hostPaths: createHostPaths(world.root) };
    expect(() => loadSettings({ system })).toThrow(
      expect.objectContaining({
        kind: "settings",
        code: "SETTINGS_INVALID",
        message: expect.stringMatching(
          /^3 settings are wrong:\n.*"rel".*\n.*MODEL_MODEL_DIRECTORIES.*\n.*"99"/,
        ),
      }),
    );
  });
});

describe("rules about several settings", () => {
  test.each([
    [
      { STORAGE_MONITOR_DISK_USAGE_WARNING: "0.99", STORAGE_MONITOR_DISK_USAGE_CRITICAL: "0.5" },
      "below",
    ],
    [{ STORAGE_MONITOR_DISK_USAGE_WARNING: "0.9" }, "below"],
    [{ STORAGE_MONITOR_METRICS_PORT: "8001" }, "differ"],
    [{ CITADEL_SERVE_PORT: "8000" }, "differ"],
    [{ BACKUP_COMPRESSION_ALGORITHM: "gzip", BACKUP_COMPRESSION_LEVEL: "10" }, "1 to 9 for gzip"],
    [{ BACKUP_COMPRESSION_ALGORITHM: "lz4", BACKUP_COMPRESSION_LEVEL: "13" }, "1 to 12 for lz4"],
    [{ MODEL_CONVENIENCE_LINKS: '{"a.b": "x", "a_b": "x"}' }, "CITADEL_MODEL_A_B"],
  ])("%j breaks one", (variables, rule) => {
    const problems = problemsOf(inspectWith(variables as Record<string, string>));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(rule);
  });

  test.each([
    [{ BACKUP_COMPRESSION_ALGORITHM: "gzip", BACKUP_COMPRESSION_LEVEL: "9" }, 0],
    [{ BACKUP_CHECKSUM_ALGORITHM: "md5" }, 1],
    [{ MODEL_CONVENIENCE_LINKS: '{"x": "nowhere"}' }, 1],
    [{ MODEL_MODEL_DIRECTORIES: '{"own": "own"}' }, 0],
    [{ CITADEL_BACKUP_ROOT: "/mnt/citadel-models/backup" }, 1],
    [{ STORAGE_MONITOR_BIND: "0.0.0.0" }, 1],
    [{ STORAGE_MONITOR_BIND: "0.0.0.0", CITADEL_HTTP_TOKEN: "t" }, 0],
    [{ CITADEL_PUSH_URL: "http://ops/x", CITADEL_PUSH_TOKEN: "t" }, 1],
    [{ CITADEL_PUSH_URL: "https://ops/x", CITADEL_PUSH_TOKEN: "t" }, 0],
  ])("%j is allowed, with %d warnings", (variables, count) => {
    const { problems, warnings } = inspectWith(variables as Record<string, string>);
    expect(problems).toEqual([]);
    expect(warnings).toHaveLength(count);
  });
});
