// A Debian booted with a real systemd in a container (systemd-nspawn), for tests of what units really do. The image is
// only read: changes go to memory. Needs root, systemd-nspawn and the image that services/systemd-box.sh has made.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename } from "node:path";
import { scrubbedEnvironment } from "./run-cli.ts";

export interface BoxRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SystemdBox extends Disposable {
  /** Runs a script inside, as root, with a login's environment. */
  bash(script: string): BoxRun;
  /** Process id of the box's own init, outside. */
  readonly leader: number;
}

// .ci/run makes the first; the second is what test/service/systemd.test.ts makes where that is missing.
const images = [
  `${tmpdir()}/agent-services-${process.geteuid?.() ?? 0}/systemd-box/image`,
  `${tmpdir()}/citadel-test-box-image`,
] as const;
const image =
  process.env["CITADEL_TEST_SYSTEMD_IMAGE"] ??
  images.find((path) => existsSync(`${path}/.ready`)) ??
  images[0];

/** Why no box can be booted here; undefined: one can be tried. */
export function whyNoSystemdBox(): string | undefined {
  if (process.geteuid?.() !== 0) return "needs root";
  for (const tool of ["systemd-nspawn", "nsenter", "unshare"]) {
    if (Bun.which(tool) === null) return `${tool} is missing`;
  }
  if (existsSync(`${image}/.ready`)) return undefined;
  return `no image at ${image}: test/support/services/systemd-box.sh start makes one (CITADEL_TEST_SYSTEMD_IMAGE names another)`;
}

/** cgroup v2 alone, beside v1, and systemd's own of v1: whichever there are. */
const cgroupTrees = "/sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd";

const cleanPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Boots the box and waits until systemd says that it runs. Ends with its Dispose, and with this process.
 * @param binds files shown inside, read-only: `HOST:GUEST`
 * @throws an Error with what the boot said, where the box does not come up within 30 s
 */
export function bootSystemdBox(binds: readonly string[] = []): SystemdBox {
  const directory = mkdtempSync(`${tmpdir()}/citadel-box-`);
  const said = `${directory}/said`;
  const group = basename(directory);
  // Two boxes in one control group would take each other's services for their own. The layers are mounted in a namespace of their own, so that nothing stays when everything is killed.
  const script = `set -e
    for tree in ${cgroupTrees}; do
      if [ -w $tree/cgroup.procs ]; then mkdir $tree/${group}; echo $$ > $tree/${group}/cgroup.procs; fi
    done
    mount --make-rprivate /
    mount -t tmpfs none ${directory}
    mkdir ${directory}/upper ${directory}/work ${directory}/root
    mount -t overlay -o lowerdir=${image},upperdir=${directory}/upper,workdir=${directory}/work none ${directory}/root
    exec systemd-nspawn --quiet --register=no --keep-unit --directory=${directory}/root --hostname=box \
      --machine=citadel-test-$$ --console=pipe --kill-signal=SIGRTMIN+3 --private-network \
      ${binds.map((bind) => `--bind-ro=${bind}`).join(" ")} --boot`;
  const nspawn = Bun.spawn(["unshare", "--mount", "sh", "-c", script], {
    env: { ...scrubbedEnvironment },
    stdin: "ignore",
    stdout: Bun.file(said),
    stderr: Bun.file(said),
  });
  const end = () => {
    const init = leaderOf();
    nspawn.kill("SIGKILL");
    // The init does not end with the one who started it (measured); with it ends everything inside.
    if (init > 0 && lives(init)) process.kill(init, "SIGKILL");
    for (let tries = 0; (lives(nspawn.pid) || (init > 0 && lives(init))) && tries < 500; tries += 1)
      Bun.sleepSync(10);
    removeGroup(group);
    rmSync(directory, { recursive: true, force: true });
  };
  const leaderOf = () => Number(readChildren(nspawn.pid).split(" ")[0]);
  const bash = (text: string): BoxRun => {
    const inside = ["-m", "-u", "-i", "-n", "-p", "-r", "-w"];
    const clean = ["env", "-i", cleanPath, "LANG=C.UTF-8", "TERM=dumb"];
    const command = ["nsenter", "-t", String(leaderOf()), ...inside, ...clean, "bash", "-uc", text];
    const run = Bun.spawnSync(command, { stdin: "ignore", stderr: "pipe", timeout: 60_000 });
    return {
      exitCode: run.exitCode,
      stdout: run.stdout.toString(),
      stderr: run.stderr.toString(),
    };
  };
  for (let tries = 0; tries < 600; tries += 1) {
    const state = leaderOf() > 0 ? bash("systemctl is-system-running").stdout.trim() : "";
    if (state === "running" || state === "degraded") {
      return { bash, leader: leaderOf(), [Symbol.dispose]: end };
    }
    if (!lives(nspawn.pid)) break;
    Bun.sleepSync(50);
  }
  const tail = readFileSync(said, "latin1").slice(-800);
  end();
  throw new Error(`the box did not come up: ${tail}`);
}

/** Its last processes are still on their way out when their init is gone. */
function removeGroup(group: string): void {
  const all = `for tree in ${cgroupTrees}; do [ ! -d $tree/${group} ] || echo $tree/${group}; done`;
  const script = `for i in $(seq 100); do
      left=$(${all}); [ -n "$left" ] || exit 0
      find $left -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
    done`;
  Bun.spawnSync(["sh", "-c", script], { stderr: "ignore" });
}

const lives = (pid: number) =>
  Bun.spawnSync(["readlink", `/proc/${pid}/ns/mnt`], { stderr: "ignore" }).exitCode === 0;

const readChildren = (pid: number) =>
  Bun.spawnSync(["cat", `/proc/${pid}/task/${pid}/children`], { stderr: "ignore" })
    .stdout.toString()
    .trim();
