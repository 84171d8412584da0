// Storage roots on real file systems: filled up, out of inodes, remounted, measured at 0 bytes free.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import type { StorageRoot } from "../../../src/monitor/data.ts";
import { judgeSamples } from "../../../src/monitor/evaluate.ts";
import { createLatencySurvey } from "../../../src/monitor/latency-survey.ts";
import { createLatencyProbe } from "../../../src/monitor/probes/latency.ts";
import { createMountsProbe } from "../../../src/monitor/probes/mounts.ts";
import { createSpaceProbe } from "../../../src/monitor/probes/space.ts";
import type { Probe } from "../../../src/monitor/probe.ts";
import { createProbeRunner } from "../../../src/monitor/run-probe.ts";
import { shippedRules } from "../../../src/monitor/rules/index.ts";
import { createHostPaths, systemClock } from "../../../src/system/index.ts";
import { survey } from "../../../src/system/survey/index.ts";
import { cliCommand } from "../../support/run-cli.ts";
import { testContext } from "../../support/monitor-samples.ts";

// Processes and disks of a busy machine: the limit is for a hang, not for speed.
setDefaultTimeout(60_000);

const isRoot = process.geteuid?.() === 0;
let directory: string;
let mounted: string[];
beforeEach(() => {
  directory = realpathSync(mkdtempSync(`${tmpdir()}/monitor-storage-`));
  mounted = [];
});
afterEach(() => {
  for (const path of mounted.reverse()) Bun.spawnSync(["umount", "-l", path]);
  rmSync(directory, { recursive: true, force: true });
});

function mount(options: string): string {
  const path = `${directory}/root${mounted.length}`;
  mkdirSync(path);
  run("mount", "-t", "tmpfs", "-o", options, "tmpfs", path);
  mounted.push(path);
  return path;
}
function run(...command: string[]): void {
  const done = Bun.spawnSync(command);
  if (done.exitCode !== 0) throw new Error(`${command.join(" ")}: ${done.stderr}`);
}
const root = (path: string, more: Partial<StorageRoot> = {}): StorageRoot => ({
  role: "models",
  path,
  requireMount: true,
  ...more,
});
const paths = createHostPaths();
/** One judged run: its state and what was found. */
async function look(probe: Probe<"space"> | Probe<"mounts"> | Probe<"latency">) {
  const sample = await createProbeRunner(probe as Probe, systemClock).run(
    new AbortController().signal,
  );
  const [judged] = judgeSamples([sample], shippedRules, testContext());
  return { ...judged, names: judged?.findings.map(({ name, severity }) => `${name} ${severity}`) };
}
const space = (...roots: StorageRoot[]) =>
  look(createSpaceProbe({ intervalS: 60, roots, survey, paths }));
const mounts = (...roots: StorageRoot[]) =>
  look(createMountsProbe({ intervalS: 60, paths, roots }));
const latency = (path: string, more: Partial<StorageRoot> = {}) =>
  look(
    createLatencyProbe({
      intervalS: 300,
      roots: [root(path, more)],
      paths,
      survey: createLatencySurvey({ command: [...cliCommand(), "__child", "monitor-latency"] }),
      isAsleep: () => Promise.resolve(false),
    }),
  );

describe.skipIf(!isRoot)("a real file system", () => {
  test("filled step by step is warning at 80 % and critical at 90 %", async () => {
    const path = mount("size=1000k");
    expect((await space(root(path))).names).toEqual([]);
    writeFileSync(`${path}/a`, Buffer.alloc(804 * 1024));
    expect((await space(root(path))).names).toEqual(["DISK_USAGE warning"]);
    writeFileSync(`${path}/b`, Buffer.alloc(100 * 1024));
    const full = await space(root(path));
    expect(full.names).toEqual(["DISK_USAGE critical"]);
    expect(full.state).toBe("critical");
  });

  test("out of inodes is told, although bytes are free", async () => {
    const path = mount("size=10m,nr_inodes=40");
    for (let at = 0; at < 38; at += 1) writeFileSync(`${path}/${at}`, "");
    expect((await space(root(path))).names).toEqual(["INODE_USAGE critical"]);
  });

  test("remounted read-only is seen at once, unmounted too", async () => {
    const path = mount("size=1m");
    expect((await mounts(root(path))).names).toEqual([]);
    run("mount", "-o", "remount,ro", path);
    expect((await mounts(root(path))).names).toEqual(["STORAGE_READ_ONLY critical"]);
    run("umount", path);
    mounted = [];
    expect((await mounts(root(path))).names).toEqual(["MOUNT_MISSING critical"]);
  });

  test("a read-only bind of a writable file system, as a sandbox shows it, is not read-only", async () => {
    const path = mount("size=1m");
    const bind = `${directory}/bind`;
    mkdirSync(bind);
    run("mount", "--bind", path, bind);
    mounted.push(bind);
    run("mount", "-o", "remount,bind,ro", bind);
    expect((await mounts(root(bind))).names).toEqual([]);
  });

  test("another file system in its place is the wrong disk", async () => {
    const path = mount("size=1m");
    const expected = { fstype: "ext4", uuid: "1111-2222" };
    expect((await mounts(root(path, { expected }))).names).toEqual(["WRONG_DISK critical"]);
  });

  test("latency is measured at 0 bytes free, once the file is there", async () => {
    const path = mount("size=1m");
    expect((await latency(path)).state).toBe("ok");
    expect(statSync(`${path}/.citadel-agent`).mode & 0o777).toBe(0o700);
    for (let at = 0; ; at += 1) {
      try {
        writeFileSync(`${path}/fill${at}`, Buffer.alloc(4096));
      } catch {
        break;
      }
    }
    const measured = await latency(path);
    expect(measured.data).toMatchObject({ roots: [{ state: "measured", write: { count: 5 } }] });
    expect(readdirSync(`${path}/.citadel-agent`)).toEqual(["latency-probe"]);
  });

  test("a root that is not mounted is not written to", async () => {
    const path = `${directory}/empty`;
    mkdirSync(path);
    // The temporary directory may itself be a mount: the path must lie on the root file system for this.
    const onRoot = statSync(path).dev === statSync("/").dev;
    const measured = await latency(path);
    if (!onRoot) return console.log("skipped: the temporary directory is no part of /");
    expect(measured.state).toBe("unknown");
    expect(measured.note).toContain("not mounted");
    expect(existsSync(`${path}/.citadel-agent`)).toBe(false);
  });

  test("a directory of someone else, or a link in its place, is left alone", async () => {
    const path = mount("size=1m");
    mkdirSync(`${path}/.citadel-agent`);
    chownSync(`${path}/.citadel-agent`, 12_345, 12_345);
    expect((await latency(path)).note).toContain("belongs to uid 12345");
    rmSync(`${path}/.citadel-agent`, { recursive: true });
    mkdirSync(`${directory}/elsewhere`);
    symlinkSync(`${directory}/elsewhere`, `${path}/.citadel-agent`);
    expect((await latency(path)).state).toBe("unknown");
    expect(readdirSync(`${directory}/elsewhere`)).toEqual([]);
    rmSync(`${path}/.citadel-agent`);
    mkdirSync(`${path}/.citadel-agent`);
    chmodSync(`${path}/.citadel-agent`, 0o777);
    expect((await latency(path)).note).toContain("not ours alone");
  });

  test("a file with a second name is not overwritten", async () => {
    const path = mount("size=1m");
    mkdirSync(`${path}/.citadel-agent`, { mode: 0o700 });
    writeFileSync(`${path}/precious`, "data");
    run("ln", `${path}/precious`, `${path}/.citadel-agent/latency-probe`);
    expect((await latency(path)).note).toContain("not a file of its own");
    expect(await Bun.file(`${path}/precious`).text()).toBe("data");
  });
});

describe("roots that are not there", () => {
  test("are critical, by name", async () => {
    const result = await space(root(`${directory}/none`, { role: "backup", requireMount: false }));
    expect(result.names).toEqual(["STORAGE_MISSING critical"]);
  });
});

test("a child that hangs is cut off, and the root is called silent", async () => {
  const hanging = createLatencySurvey({ timeoutMs: 200, command: ["/bin/sleep", "60"] });
  const answer = await hanging("7", 8, new AbortController().signal);
  expect(answer).toMatchObject({ ok: false, code: "STORAGE_NOT_ANSWERING" });
});

test("a child that dies early is an answer", async () => {
  const broken = createLatencySurvey({ command: ["/bin/sh", "-c", "echo oops >&2; exit 3"] });
  const answer = await broken("/", 1, new AbortController().signal);
  expect(answer).toEqual({
    ok: false,
    code: "PROBE_FAILED",
    message: "the child ended early (3): oops",
  });
});
