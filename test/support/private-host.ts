// A host of its own for tests that mount: a mount namespace in which /etc, /mnt, /opt, /run and /var/lib are private,
// with real file systems on loop devices as the two storages. Needs root, losetup and unshare; ends without a trace.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { cliCommand, scrubbedEnvironment } from "./run-cli.ts";

export type LoopType = "ext4" | "xfs" | "btrfs";

export interface PrivateRun {
  readonly exitCode: number;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface PrivateHost extends Disposable {
  readonly directory: string;
  readonly devices: { readonly models: string; readonly backup: string };
  readonly uuids: { readonly models: string; readonly backup: string };
  /** The words that run a command in this host. */
  inside(command: readonly string[]): readonly string[];
  run(command: readonly string[], timeoutMs?: number): PrivateRun;
  /** Runs a script with bash; throws if it fails. @returns its output, trimmed */
  bash(script: string): string;
  agent(...args: string[]): PrivateRun;
  /** Puts a script in the place of a program; `$REAL` in it is the real one. */
  wrap(program: string, script: string): void;
}

/** Why such a host cannot be made here; undefined: it can. */
export function whyNoPrivateHost(...types: LoopType[]): string | undefined {
  if (process.geteuid?.() !== 0) return "needs root";
  const tools = ["losetup", "unshare", "nsenter", "findmnt", "tune2fs", "blkid"];
  for (const tool of [...tools, ...types.map((type) => `mkfs.${type}`)]) {
    if (Bun.which(tool, { PATH: scrubbedEnvironment["PATH"] ?? "" }) === null)
      return `${tool} is missing`;
  }
  if (!canAttachLoop()) return "no loop device can be had";
  const alone = Bun.spawnSync(["unshare", "--mount", "true"]);
  return alone.exitCode === 0 ? undefined : "no mount namespace can be made";
}

let loopAnswer: boolean | undefined;

/** Whether a file can really be attached: in many containers root may look for a free device and not use it. */
function canAttachLoop(): boolean {
  if (loopAnswer !== undefined) return loopAnswer;
  const directory = mkdtempSync(`${tmpdir()}/citadel-loop-`);
  try {
    writeFileSync(`${directory}/image`, Buffer.alloc(1024 * 1024));
    const attached = Bun.spawnSync(["losetup", "-f", "--show", `${directory}/image`]);
    loopAnswer = attached.exitCode === 0;
    if (loopAnswer) Bun.spawnSync(["losetup", "-d", attached.stdout.toString().trim()]);
    return loopAnswer;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const sizes: Record<LoopType, string> = { ext4: "32M", xfs: "320M", btrfs: "128M" };

/**
 * Makes the host; both storages are mounted with default options and stand in fstab by UUID.
 * @param lifeS it ends by itself after this many seconds
 */
export function createPrivateHost(models: LoopType, backup: LoopType, lifeS = 300): PrivateHost {
  const directory = mkdtempSync(`${tmpdir()}/citadel-private-`);
  const loops: string[] = [];
  const must = (...command: string[]) => {
    const run = Bun.spawnSync(command, { stderr: "pipe" });
    if (run.exitCode !== 0) throw new Error(`${command.join(" ")}: ${run.stderr}`);
    return run.stdout.toString().trim();
  };
  const makeLoop = (name: string, type: LoopType) => {
    const image = `${directory}/${name}.img`;
    must("truncate", "-s", sizes[type], image);
    must(`mkfs.${type}`, "-q", type === "ext4" ? "-F" : "-f", image);
    const loop = must("losetup", "-f", "--show", image);
    loops.push(loop);
    return loop;
  };
  const devices = { models: makeLoop("models", models), backup: makeLoop("backup", backup) };
  const uuid = (device: string) => must("blkid", "-p", "-s", "UUID", "-o", "value", device);
  const uuids = { models: uuid(devices.models), backup: uuid(devices.backup) };
  // The holder keeps the namespace and, by open files, the devices: detached at once, they are freed with its end,
  // also when this process is killed. Its second descriptor open means that its namespace is its own already.
  const keep = `exec 8<${devices.models} 9<${devices.backup}; exec sleep ${lifeS}`;
  const holder = Bun.spawn(["unshare", "--mount", "bash", "-c", keep], { stdout: "ignore" });
  const isReady = () =>
    Bun.spawnSync(["readlink", `/proc/${holder.pid}/fd/9`])
      .stdout.toString()
      .trim() === devices.backup;
  for (let tries = 0; !isReady() && tries < 500; tries += 1) Bun.sleepSync(5);
  for (const loop of loops) Bun.spawnSync(["losetup", "-d", loop]);
  const inside = (command: readonly string[]) => [
    "nsenter",
    "-t",
    String(holder.pid),
    "-m",
    "--",
    ...command,
  ];
  const run = (command: readonly string[], timeoutMs = 60_000): PrivateRun => {
    const done = Bun.spawnSync(inside(command), {
      cwd: "/",
      env: { ...scrubbedEnvironment },
      stdout: "pipe",
      stderr: "pipe",
      timeout: timeoutMs,
    });
    return {
      exitCode: done.exitCode,
      signal: done.signalCode == null ? null : String(done.signalCode),
      stdout: done.stdout.toString(),
      stderr: done.stderr.toString(),
    };
  };
  const bash = (script: string) => {
    const done = run(["bash", "-euc", script]);
    if (done.exitCode !== 0) throw new Error(`${script}\n${done.stdout}${done.stderr}`);
    return done.stdout.trim();
  };
  bash(`mkdir ${directory}/tmpfs && mount -t tmpfs none ${directory}/tmpfs
    mkdir ${directory}/tmpfs/upper ${directory}/tmpfs/work
    mount -t overlay -o lowerdir=/etc,upperdir=${directory}/tmpfs/upper,workdir=${directory}/tmpfs/work none /etc ||
      { cp -a /etc/. ${directory}/tmpfs/upper/; mount --bind ${directory}/tmpfs/upper /etc; }
    for d in /mnt /opt /run /var/lib; do mount -t tmpfs -o mode=0755 none $d; done
    mkdir -p /mnt/citadel-models /mnt/citadel-backup /opt/citadel/logs
    mount ${devices.models} /mnt/citadel-models
    mount ${devices.backup} /mnt/citadel-backup
    printf '%s\\n' '# fstab of a test' 'UUID=${uuids.models} /mnt/citadel-models ${models} defaults,nofail 0 2' \
      '  UUID=${uuids.backup}\t/mnt/citadel-backup ${backup}   rw,relatime 0 2' > /etc/fstab`);
  return {
    directory,
    devices,
    uuids,
    inside,
    run,
    bash,
    agent: (...args) => run([...cliCommand(), ...args]),
    wrap(program, script) {
      const wrapper = `${directory}/wrap-${program}`;
      const real = `${directory}/real-${program}`;
      const path = bash(`command -v ${program}`);
      if (!existsSync(real)) bash(`cp "$(readlink -f ${path})" ${real}`);
      writeFileSync(wrapper, `#!/bin/sh\nREAL=${real}\n${script}\n`, { mode: 0o755 });
      bash(`mount --bind ${wrapper} "$(readlink -f ${path})"`);
    },
    [Symbol.dispose]: () => {
      holder.kill("SIGKILL");
      // Its exit code is only seen by the event loop; its namespace is gone as soon as it is dead.
      const lives = () => Bun.spawnSync(["readlink", `/proc/${holder.pid}/ns/mnt`]).exitCode === 0;
      for (let tries = 0; lives() && tries < 200; tries += 1) Bun.sleepSync(5);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
