import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { runCli } from "../support/run-cli.ts";

setDefaultTimeout(60_000); // several runs of the program each, on machines that may be busy

const root = mkdtempSync(`${tmpdir()}/incident-`);
afterAll(() => rmSync(root, { recursive: true }));
mkdirSync(`${root}/etc/citadel`, { recursive: true });
writeFileSync(`${root}/etc/fstab`, "//nas/m /mnt cifs username=bob,password=hunter2 0 0\n");
writeFileSync(`${root}/etc/citadel/agent.env`, "CITADEL_PUSH_TOKEN=zz-top-secret-zz\n", {
  mode: 0o600,
});

interface Bundle {
  readonly path: string;
  readonly bytes: number;
  readonly files: readonly { file: string; state: string }[];
}

async function entriesOf(path: string): Promise<Map<string, string>> {
  const files = await new Bun.Archive(await Bun.file(path).bytes()).files();
  const texts = await Promise.all(
    [...files].map(async ([name, file]) => [name, await file.text()]),
  );
  return new Map(texts.map(([name, text]) => [name?.replace(/^[^/]+\//, "") ?? "", text ?? ""]));
}

test("incident packs the evidence of the host below --root into a file only its owner can read", async () => {
  const run = await runCli(["incident", "--root", root, "--json"]);
  expect(run.stderr).toBe("");
  expect(run.exitCode).toBe(0);
  const bundle = run.json<Bundle>();
  expect(bundle.path).toStartWith(`${root}/run/citadel-agent/citadel-incident-`);
  const stat = statSync(bundle.path);
  expect(stat.mode & 0o777).toBe(0o600);
  expect(stat.size).toBe(bundle.bytes);
  const entries = await entriesOf(bundle.path);
  expect(entries.get("mounts/fstab.txt")).toContain("//nas/m /mnt cifs");
  expect(JSON.parse(entries.get("agent/doctor.json") ?? "")).toHaveProperty("checks");
  const everything = [...entries.values()].join("\n");
  expect(everything).not.toContain("hunter2");
  expect(everything).not.toContain("zz-top-secret-zz");
});

test("incident works with broken settings and with --out FILE", async () => {
  const out = `${root}/bundle.tar.gz`;
  const env = { BACKUP_PARALLEL_JOBS: "99" };
  const run = await runCli(["incident", "--root", root, "--out", out], { env });
  expect(run.exitCode).toBe(0);
  expect(run.stdout).toStartWith(out);
  expect((await entriesOf(out)).get("agent/doctor.json")).toContain("SETTINGS_INVALID");
});

test("incident refuses --out - with --json before it collects anything", async () => {
  const run = await runCli(["incident", "--root", root, "--out", "-", "--json"]);
  expect(run.exitCode).toBe(2);
  expect(run.json<{ error: { code: string } }>().error.code).toBe("FLAGS_CONTRADICT");
});

test("incident --out replaces nothing: no file, and nothing that a link names", async () => {
  mkdirSync(`${root}/out`);
  writeFileSync(`${root}/out/there`, "kept");
  symlinkSync("there", `${root}/out/link`);
  for (const name of ["there", "link"]) {
    const run = await runCli([
      "incident",
      "--root",
      root,
      "--out",
      `${root}/out/${name}`,
      "--json",
    ]);
    expect(run.json<{ error: object }>().error).toMatchObject({ code: "ALREADY_EXISTS" });
  }
  expect(readFileSync(`${root}/out/there`, "utf8")).toBe("kept");
  expect(readdirSync(`${root}/out`).sort()).toEqual(["link", "there"]);
});

test.skipIf(process.geteuid?.() !== 0)(
  "root's incident follows no link of somebody else's on the way to --out",
  async () => {
    for (const name of ["private", "foreign"]) mkdirSync(`${root}/${name}`);
    symlinkSync(`${root}/private`, `${root}/foreign/way`);
    lchownSync(`${root}/foreign/way`, 12_345, 12_345);
    chownSync(`${root}/foreign`, 12_345, 12_345);
    const out = `${root}/foreign/way/bundle.tar.gz`;
    const run = await runCli(["incident", "--root", root, "--out", out, "--json"]);
    expect(run.json<{ error: object }>().error).toMatchObject({ code: "SYMLINK_IN_PATH" });
    expect(readdirSync(`${root}/private`)).toEqual([]);
  },
);
