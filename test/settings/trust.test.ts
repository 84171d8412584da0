import { chmodSync, chownSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "bun:test";
import { isRoot, World } from "./world.ts";

const stranger = 65_533;
const yaml = "backup:\n  parallel_jobs: 13\n";
const env = "BACKUP_PARALLEL_JOBS=13\n";

if (!isRoot) console.log("skipped: the trust of settings files needs root to make files of others");

/** What can be wrong with a file, and what is said about it. */
const faults: readonly (readonly [string, (path: string) => void, string])[] = [
  ["belongs to another user", (path) => chownSync(path, stranger, 0), "belongs to user 65533"],
  ["can be written by its group", (path) => chmodSync(path, 0o660), "others may write it"],
  ["can be written by everybody", (path) => chmodSync(path, 0o602), "others may write it"],
  ["has a second link", (path) => linkSync(path, `${path}.2`), "2 hard links"],
];

describe.if(isRoot)("as root", () => {
  test.each(faults)("a configuration file that %s is refused", (_name, spoil, reason) => {
    using world = new World();
    spoil(world.write("etc/citadel/agent.yml", yaml));
    const { problems, settings } = world.inspect();
    expect(problems).toHaveLength(1);
    expect(problems[0]?.rule).toContain(reason);
    expect(settings.backup.parallel_jobs).toBe(4);
  });

  test.each(faults)("an env file that %s is refused", (_name, spoil, reason) => {
    using world = new World();
    const envFile = world.write("x.env", env);
    spoil(envFile);
    const { problems } = world.inspect({}, { envFile });
    expect(problems).toHaveLength(1);
    expect(problems[0]?.rule).toContain(reason);
  });

  test.each(faults)("a secret file that %s is refused", (_name, spoil, reason) => {
    using world = new World();
    spoil(world.write("etc/token", "hush"));
    const { problems } = world.inspect({ CITADEL_PUSH_TOKEN_FILE: "/etc/token" });
    expect(problems).toHaveLength(1);
    expect(problems[0]?.rule).toContain(reason);
  });

  test.each(faults)("a .env that %s is ignored with a warning", (_name, spoil, reason) => {
    using world = new World();
    spoil(world.write("work/.env", env));
    const { problems, warnings, settings } = world.inspect();
    expect(problems).toEqual([]);
    expect(warnings[0]?.message).toContain(reason);
    expect(settings.backup.parallel_jobs).toBe(4);
  });

  test("a .env of root in a stranger's directory is ignored", () => {
    using world = new World();
    world.write("work/.env", env);
    expect(world.inspect().settings.backup.parallel_jobs).toBe(13);
    chownSync(world.workingDirectory, stranger, 0);
    const { settings, warnings } = world.inspect();
    expect(settings.backup.parallel_jobs).toBe(4);
    expect(warnings[0]?.message).toContain("others may put files into its directory");
  });

  test("a refused env file below /etc is not replaced by .env", () => {
    using world = new World();
    world.write("work/.env", env);
    chmodSync(world.write("etc/citadel/agent.env", "BACKUP_PARALLEL_JOBS=2\n"), 0o666);
    const { problems, settings } = world.inspect();
    expect(problems).toHaveLength(1);
    expect(settings.backup.parallel_jobs).toBe(4);
  });

  test("a symbolic link is refused", () => {
    using world = new World();
    world.write("real.yml", yaml);
    symlinkSync("../../real.yml", `${world.etc}/agent.yml`);
    expect(world.inspect().problems[0]?.rule).toContain("symbolic link");
  });

  test("the user behind sudo is not trusted", () => {
    using world = new World();
    chownSync(world.write("etc/citadel/agent.yml", yaml), stranger, 0);
    const { problems } = world.inspect({ SUDO_UID: String(stranger), SUDO_USER: "x" });
    expect(problems).toHaveLength(1);
  });
});

describe("a file that was named", () => {
  test.each(["config", "envFile"] as const)("%s must be there", (flag) => {
    using world = new World();
    const { problems } = world.inspect({}, { [flag]: `${world.root}/none.yml` });
    expect(problems).toHaveLength(1);
    expect(problems[0]?.rule).toContain("No such file");
  });

  test("must be a regular file", () => {
    using world = new World();
    mkdirSync(`${world.root}/dir.yml`);
    expect(world.inspect({}, { config: `${world.root}/dir.yml` }).problems).toHaveLength(1);
  });

  test("must be UTF-8, as the original's reader demands", () => {
    using world = new World();
    const envFile = `${world.root}/x.env`;
    writeFileSync(envFile, Buffer.from("CITADEL_APP_ROOT=/caf\xe9\n", "latin1"), { mode: 0o600 });
    expect(world.inspect({}, { envFile }).problems[0]?.rule).toContain("not UTF-8");
    const variables = { CITADEL_APP_ROOT: "/caf\uFFFD" }; // what the runtime makes of such a variable
    expect(world.inspect(variables).problems).toHaveLength(1);
  });

  test("must not be larger than a mebibyte", () => {
    using world = new World();
    const config = world.write("c.yml", "#".repeat(1024 * 1024 + 1));
    expect(world.inspect({}, { config }).problems[0]?.rule).toContain("larger");
  });

  test("may be relative to the working directory", () => {
    using world = new World();
    world.write("work/c.yml", yaml);
    expect(world.inspect({}, { config: "c.yml" }).settings.backup.parallel_jobs).toBe(13);
  });
});

describe("secrets", () => {
  test("are masked wherever they turn into text", () => {
    using world = new World();
    const inspected = world.inspect({
      CITADEL_PUSH_TOKEN: "hush-hush",
      CITADEL_WEBHOOK_URL: "https://chat.example/hook/hush-hush",
    });
    const { push_token: token, webhook_url: url } = inspected.settings.agent;
    expect(token?.reveal()).toBe("hush-hush");
    expect(url?.reveal()).toBe("https://chat.example/hook/hush-hush");
    const texts = [
      JSON.stringify(inspected.settings),
      String(token),
      `${url}`,
      Bun.inspect(inspected),
    ];
    expect(texts.join("\n")).not.toContain("hush-hush");
  });

  test("are masked in errors, and so are passwords in addresses", () => {
    using world = new World();
    const { problems } = world.inspect({
      CITADEL_HTTP_TOKEN: "hush hush",
      CITADEL_PUSH_URL: "gopher://me:hush@x/",
      CITADEL_PING_URL: "ftp://hush",
    });
    expect(problems).toHaveLength(3);
    expect(JSON.stringify(problems)).not.toContain("hush");
  });

  test("come from a file that NAME_FILE names, below the root, without the line end", () => {
    using world = new World();
    const real = world.write("etc/token", "hush\n");
    const { settings, origins } = world.inspect({ CITADEL_PUSH_TOKEN_FILE: "/etc/token" });
    expect(settings.agent.push_token?.reveal()).toBe("hush");
    expect(origins.get("agent.push_token")?.secretFile).toBe(real);
    const config = world.write("c.yml", "agent:\n  http_token_file: /etc/token\n");
    expect(world.inspect({}, { config }).settings.agent.http_token?.reveal()).toBe("hush");
  });

  test("the value itself wins over the file of the same source", () => {
    using world = new World();
    world.write("etc/token", "from-file");
    const both = { CITADEL_PUSH_TOKEN_FILE: "/etc/token", CITADEL_PUSH_TOKEN: "direct" };
    expect(world.inspect(both).settings.agent.push_token?.reveal()).toBe("direct");
  });

  test("come from the service manager's credentials, and an absent one means nothing", () => {
    using world = new World();
    mkdirSync(`${world.root}/credentials`);
    world.write("credentials/CITADEL_PUSH_TOKEN", "from-systemd", 0o400);
    const envFile = world.write("x.env", "CITADEL_PUSH_TOKEN=weaker\nCITADEL_HTTP_TOKEN=kept\n");
    const variables = { CREDENTIALS_DIRECTORY: `${world.root}/credentials` };
    const { agent } = world.inspect(variables, { envFile }).settings;
    expect(agent.push_token?.reveal()).toBe("from-systemd");
    expect(agent.http_token?.reveal()).toBe("kept");
  });

  test("a missing file is an error", () => {
    using world = new World();
    const { problems } = world.inspect({ CITADEL_PUSH_TOKEN_FILE: "/none" });
    expect(problems).toMatchObject([
      { name: "CITADEL_PUSH_TOKEN_FILE", rule: "No such file or directory" },
    ]);
  });

  test("in a file that everybody can read are a warning", () => {
    using world = new World();
    world.write("etc/citadel/agent.env", "CITADEL_PUSH_TOKEN=hush\n", 0o644);
    expect(world.inspect().warnings[0]?.message).toContain("make it 0600");
    chmodSync(`${world.etc}/agent.env`, 0o600);
    expect(world.inspect().warnings).toEqual([]);
  });
});
