// Storage roots that are mounts, are not mounted, are another disk, or hang. Everything happens in a private mount
// namespace that ends with its shell: nothing of the machine is touched.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { stuckNote } from "../../src/system/survey/index.ts";
import { cliCommand, scrubbedEnvironment } from "../support/run-cli.ts";
import {
  createLayoutRoot,
  isRoot,
  type LayoutRoot,
  type LinksDocument,
} from "../support/layout-root.ts";

setDefaultTimeout(60_000); // several runs of the program each, on machines that may be busy

const canMount =
  isRoot &&
  Bun.spawnSync(["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt"], { stderr: "ignore" })
    .exitCode === 0;
if (!canMount) console.log("skipped: mounting needs root and unshare");
const canFuse = canMount && existsSync("/dev/fuse");
if (!canFuse) console.log("skipped: a mount that hangs needs /dev/fuse");

interface Turn {
  readonly rc: number;
  readonly out: string;
}

/** Runs a shell script in a namespace of its own; `agent ARGS…` in it runs the program and prints `RC out`. */
function inNamespace(script: string, env: Record<string, string> = {}, tracer = ""): Turn[] {
  const [first = "", ...rest] = cliCommand();
  const quoted = [first, ...rest].map((word) => `'${word}'`).join(" ");
  // 9>&-: the descriptor of a FUSE connection must not live on in the program
  const agent = `agent() { out=$(${tracer}${quoted} "$@" 2>&1 9>&-); printf '%s\\0%s\\0' $? "$out"; }`;
  const run = Bun.spawnSync(["unshare", "-m", "bash", "-c", `set -u; ${agent}\n${script}`], {
    env: { ...scrubbedEnvironment, ...env },
    timeout: 60_000,
  });
  expect(run.stderr.toString()).toBe("");
  const words = run.stdout.toString().split("\0");
  const turns: Turn[] = [];
  for (let at = 0; at + 1 < words.length; at += 2) {
    turns.push({ rc: Number(words[at]), out: words[at + 1] ?? "" });
  }
  return turns;
}

const required = { CITADEL_REQUIRE_MOUNTS: "yes" };

function withMountPoints(): LayoutRoot {
  const host = createLayoutRoot();
  Bun.spawnSync(["mkdir", "-p", host.at("/mnt/citadel-models"), host.at("/mnt/citadel-backup")]);
  return host;
}

describe.skipIf(!canMount)("storage roots that have to be mounted", () => {
  test("setup stops with 7 before the first change where one is not mounted, and works where both are", () => {
    using host = withMountPoints();
    const [none, one, both, verify] = inNamespace(
      `R='${host.path}'
      agent --root $R setup --yes
      mount -t tmpfs tmpfs $R/mnt/citadel-models
      agent --root $R setup --yes
      mount -t tmpfs tmpfs $R/mnt/citadel-backup
      agent --root $R setup --yes
      agent --root $R links verify --json`,
      required,
    );
    expect(none?.rc).toBe(7);
    expect(none?.out).toContain("/mnt/citadel-models");
    expect(none?.out).toContain("/mnt/citadel-backup");
    expect(one?.rc).toBe(7);
    expect(both?.rc).toBe(0);
    expect(verify?.rc).toBe(0);
  });

  test("below a root that vanished nothing is made, replaced or removed; the rest is mended; exit 7", () => {
    using host = withMountPoints();
    const turns = inNamespace(
      `R='${host.path}'
      mount -t tmpfs tmpfs $R/mnt/citadel-models
      mount -t tmpfs tmpfs $R/mnt/citadel-backup
      agent --root $R setup --yes
      umount $R/mnt/citadel-models
      rm $R/opt/citadel/models; rmdir $R/opt/citadel/tmp $R/mnt/citadel-backup/logs
      agent --root $R links verify --json
      agent --root $R repair --yes
      agent --root $R links create --force
      agent --root $R dirs create
      printf '%s\\0%s\\0' "$(ls -A $R/mnt/citadel-models | wc -l)" "$(ls -d $R/opt/citadel/tmp $R/mnt/citadel-backup/logs | wc -l)"
      test -e $R/opt/citadel/models; printf '%s\\0\\0' $?`,
      required,
    );
    const [setup, verify, repair, create, dirs, made, link] = turns;
    expect(setup?.rc).toBe(0);
    expect(verify?.rc).toBe(3);
    const { issues } = JSON.parse(verify?.out ?? "") as LinksDocument;
    expect(new Set(issues.map(({ state }) => state))).toEqual(new Set(["blocked"]));
    expect(issues).toHaveLength(12);
    expect([repair?.rc, create?.rc, dirs?.rc]).toEqual([7, 7, 7]);
    expect(made).toEqual({ rc: 0, out: "2" }); // nothing on the root disk, both others are back
    expect(link?.rc).toBe(1); // its target could not be seen, so it was not made
  });

  test("another kind of disk stops changes until it is accepted", () => {
    using host = withMountPoints();
    const [setup, create, again, accepted, after] = inNamespace(
      `R='${host.path}'
      mount -t tmpfs tmpfs $R/mnt/citadel-models
      mount -t tmpfs tmpfs $R/mnt/citadel-backup
      agent --root $R setup --yes
      umount $R/mnt/citadel-models
      mount -t ramfs ramfs $R/mnt/citadel-models
      agent --root $R links create
      agent --root $R setup --yes
      agent --root $R setup --yes --accept-disk
      agent --root $R links create`,
      required,
    );
    expect(setup?.rc).toBe(0);
    expect([create?.rc, again?.rc]).toEqual([6, 6]);
    expect(create?.out).toContain("WRONG_DISK");
    expect(accepted?.rc).toBe(0);
    expect(after?.rc).toBe(0);
  });

  test("a full host without --root: real paths, real mounts, state in /var/lib", () => {
    const [setup, verify, prereq, again, cache] = inNamespace(
      `for d in /opt /mnt /home /var/lib /run; do mount -t tmpfs tmpfs $d; done
      mkdir -p /mnt/citadel-models /mnt/citadel-backup /home/agent0
      mount -t tmpfs tmpfs /mnt/citadel-models; mount -t tmpfs tmpfs /mnt/citadel-backup
      { cat /etc/passwd; echo 'agent0:x:4711:4712::/home/agent0:/bin/sh'; } > /run/passwd
      { cat /etc/group; echo 'agent0:x:4712:'; } > /run/group
      mount --bind /run/passwd /etc/passwd; mount --bind /run/group /etc/group
      agent setup --yes
      agent links verify --json
      agent prereq verify --json
      SUDO_USER=somebody HOME=/root agent setup --yes
      printf '0\\0%s\\0' "$(stat -c '%u %N' /home/agent0/.cache/torch)"`,
    );
    expect(setup).toMatchObject({ rc: 0 });
    expect(JSON.parse(verify?.out ?? "")).toMatchObject({ total: 12, healthy: 12, issues: [] });
    const { checks } = JSON.parse(prereq?.out ?? "") as { checks: { id: string; ok: boolean }[] };
    expect(checks.find(({ id }) => id === "mount:/mnt/citadel-models")?.ok).toBe(true);
    expect(again?.rc).toBe(0);
    // the service user's home, its own, never root's or the caller's
    expect(cache?.out).toBe(
      "4711 '/home/agent0/.cache/torch' -> '/mnt/citadel-models/cache/torch'",
    );
  });
});

describe.skipIf(!canFuse)("a storage root that hangs", () => {
  // A FUSE mount whose daemon never reads: every call waits for ever, as on a dead network mount.
  const hang = (path: string) =>
    `exec 9<>/dev/fuse
    mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0,allow_other hung ${path}`;

  test("is told as not answering; its links are blocked; the others are judged; the command ends", async () => {
    using host = createLayoutRoot();
    expect((await host.run(["setup", "--yes"])).exitCode).toBe(0);
    const startedMs = performance.now();
    const [verify, repair] = inNamespace(`R='${host.path}'
      ${hang("$R/mnt/citadel-models")}
      rmdir $R/opt/citadel/tmp
      agent --root $R links verify --json
      agent --root $R repair --yes`);
    const { issues } = JSON.parse(verify?.out ?? "") as LinksDocument;
    expect(verify?.rc).toBe(3);
    expect(issues).toHaveLength(12);
    expect(new Set(issues.map(({ state }) => state))).toEqual(new Set(["blocked"]));
    expect(repair?.rc).toBe(7);
    expect(repair?.out).toContain("not answering");
    expect(existsSync(host.at("/opt/citadel/tmp"))).toBe(true);
    // two commands with one deadline of 5 s each; the bound only says that neither waited for ever
    expect(performance.now() - startedMs).toBeLessThan(45_000);
  }, 60_000);

  test("is not asked again while an earlier child is stuck there", async () => {
    using host = createLayoutRoot();
    expect((await host.run(["setup", "--yes"])).exitCode).toBe(0);
    const mountpoint = realpathSync(host.at("/mnt/citadel-models"));
    const note = stuckNote(host.at("/run/citadel-agent"), mountpoint);
    // a process that looks like the child; a real one in state D cannot be made here
    const child = Bun.spawn(["sh", "-c", "read line", "survey", mountpoint], { stdin: "pipe" });
    writeFileSync(note, String(child.pid));
    const trace = `${host.path}/trace`;
    const tracer =
      Bun.which("strace") === null ? "" : `strace -f -qq -e trace=execve -o '${trace}' `;
    try {
      const [verify] = inNamespace(
        `R='${host.path}'
        ${hang("$R/mnt/citadel-models")}
        agent --root $R links verify --json`,
        {},
        tracer,
      );
      expect(verify?.rc).toBe(3);
      const { issues } = JSON.parse(verify?.out ?? "") as LinksDocument;
      expect(issues.every(({ state }) => state === "blocked")).toBe(true);
      if (tracer !== "") expect(readFileSync(trace, "utf8")).not.toContain('"__child"');
    } finally {
      child.kill();
    }
  });

  // One command per host: a child that an interrupted command left behind is remembered by the next one.
  test.each(["setup --yes", "links verify"])(
    "is not called dead because somebody pressed Ctrl-C while %s asked it",
    async (words) => {
      using host = createLayoutRoot();
      expect((await host.run(["setup", "--yes"])).exitCode).toBe(0);
      const [run] = inNamespace(
        `R='${host.path}'
        ${hang("$R/mnt/citadel-models")}
        agent --root $R ${words}`,
        {},
        "timeout --preserve-status -s INT 2 ",
      );
      expect(run?.rc).toBe(130);
      expect(run?.out).not.toContain("not answering");
    },
    60_000,
  );

  test("does not take down the other storage root", async () => {
    using host = createLayoutRoot();
    expect((await host.run(["setup", "--yes"])).exitCode).toBe(0);
    const [verify, dirs] = inNamespace(`R='${host.path}'
      ${hang("$R/mnt/citadel-backup")}
      agent --root $R links verify --json
      agent --root $R dirs verify --json`);
    expect(verify?.rc).toBe(0);
    const { issues, total } = JSON.parse(dirs?.out ?? "") as {
      issues: { state: string }[];
      total: number;
    };
    expect(dirs?.rc).toBe(3);
    expect(new Set(issues.map(({ state }) => state))).toEqual(new Set(["unknown"]));
    expect(total - issues.length).toBeGreaterThan(20);
  }, 60_000);

  test("of the models leaves their backups within reach: list, verify, restore elsewhere", async () => {
    using host = createLayoutRoot();
    expect((await host.run(["setup", "--yes"])).exitCode).toBe(0);
    writeFileSync(host.at("/mnt/citadel-models/active/weights"), "weights");
    const [create, list, verify, restore] = inNamespace(
      `R='${host.path}'
      agent --root $R backup create
      ${hang("$R/mnt/citadel-models")}
      agent --root $R backup list
      agent --root $R backup verify latest
      agent --root $R backup restore latest --to /mnt/citadel-backup/restored`,
      { BACKUP_RESERVE_BYTES: "0" },
    );
    expect([create?.rc, list?.rc, verify?.rc, restore?.rc]).toEqual([0, 0, 0, 0]);
    expect(readFileSync(host.at("/mnt/citadel-backup/restored/weights"), "utf8")).toBe("weights");
  }, 60_000);
});
