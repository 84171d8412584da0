// docs/guides/recovery.md as a stranger follows it: every command pasted as it stands, in a booted system whose root
// disk is empty, with the backup disk of a host that is gone.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { builtBinary } from "../support/built-binary.ts";
import { whyNoPrivateHost } from "../support/private-host.ts";
import { models, must } from "../support/schedule-box.ts";
import { bootSystemdBox, whyNoSystemdBox, type SystemdBox } from "../support/systemd-box.ts";

const why = whyNoSystemdBox() ?? whyNoPrivateHost("ext4");
if (why !== undefined) console.log(`skipped: the walk through recovery.md: ${why}`);

const guide = readFileSync(new URL("../../docs/guides/recovery.md", import.meta.url), "utf8");
/** The commands of each block, in the order of the page. */
const blocks = [...guide.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, text = ""]) =>
  text.trimEnd().split("\n"),
);

interface Disk extends Disposable {
  readonly label: string;
  readonly node: string;
  readonly number: string;
}

function createDisk(directory: string, name: string, label: string): Disk {
  const run = (...command: string[]) => {
    const done = Bun.spawnSync(command, { stderr: "pipe" });
    if (done.exitCode !== 0) throw new Error(`${command.join(" ")}: ${done.stderr.toString()}`);
    return done.stdout.toString().trim();
  };
  const image = `${directory}/${name}.img`;
  run("truncate", "-s", "128M", image);
  run("mkfs.ext4", "-qF", "-L", label, image);
  const node = run("losetup", "-f", "--show", image);
  const number = run("lsblk", "-dno", "MAJ:MIN", node).trim().replace(":", " ");
  return {
    label,
    node,
    number,
    [Symbol.dispose]: () => void Bun.spawnSync(["losetup", "-d", node]),
  };
}

/** A booted system with the program on a stick and the disks plugged in; the links are udev's, which a box has not. */
function bootWith(disks: readonly Disk[]): SystemdBox {
  const box = bootSystemdBox([`${dirname(builtBinary())}:/media/usb`]);
  const plugIn = disks.map(
    ({ label, node, number }) =>
      `mknod ${node} b ${number}; ln -s ${node} /dev/disk/by-label/${label}`,
  );
  must(box, `umask 022; mkdir -p /dev/disk/by-label; ${plugIn.join("; ")}`);
  return box;
}

/** As it stands; what asks finds a terminal, and somebody who says yes. */
function paste(box: SystemdBox, command: string): void {
  const asks = command.startsWith("citadel-agent setup");
  const typed = `printf 'y\\n' | script -qec '${command.replaceAll("'", "'\\''")}' /dev/null`;
  const { exitCode, stdout, stderr } = box.bash(asks ? typed : command);
  expect({ command, exitCode, stdout, stderr }).toMatchObject({ command, exitCode: 0 });
}

const treeOf = (box: SystemdBox) =>
  must(
    box,
    `cd ${models} && find llama -printf '%P %m %u %g %T@ %l\n' | sort && sha256sum llama/w`,
  );
const addUser = "useradd --system --create-home --user-group agent0";

describe.skipIf(why !== undefined)("docs/guides/recovery.md", () => {
  test("a host comes back from its backup disk by the commands of the page", () => {
    const directory = mkdtempSync(`${tmpdir()}/citadel-recovery-`);
    try {
      using backup = createDisk(directory, "backup", "citadel-backup");
      const [before = [], ...steps] = blocks;
      expect(steps).toHaveLength(6);
      let tree: string;
      {
        using dead = createDisk(directory, "old", "citadel-models");
        using box = bootWith([backup, dead]);
        must(
          box,
          `${addUser}; install -m 755 /media/usb/citadel-agent /usr/local/bin/
          mkdir -p /mnt/citadel-backup /mnt/citadel-models /etc/citadel
          for each in models backup; do
            printf "LABEL=citadel-$each /mnt/citadel-$each ext4 defaults,nofail 0 2\n" >> /etc/fstab
            mount /dev/disk/by-label/citadel-$each /mnt/citadel-$each
          done
          printf 'BACKUP_RETENTION_DAYS=45\n' > /etc/citadel/agent.env; chmod 600 /etc/citadel/agent.env
          mkdir -p ${models}/llama; head -c 3000000 /dev/urandom > ${models}/llama/w; ln -s w ${models}/llama/link
          chmod 440 ${models}/llama/w; chown -hR agent0:agent0 ${models}
          citadel-agent setup --yes; citadel-agent service install --now
          printf 'model: llama\n' > /opt/citadel/configs/vllm.yaml; citadel-agent backup create`,
        );
        for (const command of before) paste(box, command);
        tree = treeOf(box);
        must(box, "systemctl stop citadel-agent; umount /mnt/citadel-models /mnt/citadel-backup");
      }

      using fresh = createDisk(directory, "new", "citadel-models");
      using box = bootWith([backup, fresh]);
      for (const [at, commands] of steps.entries()) {
        if (at === 3) {
          expect(box.bash("citadel-agent prereq verify").stdout).toContain(addUser);
          must(box, addUser);
        }
        for (const command of commands) paste(box, command);
      }
      expect(treeOf(box)).toBe(tree);
      expect(must(box, "cat /opt/citadel/configs/vllm.yaml")).toBe("model: llama");
      expect(must(box, "stat -c %a /etc/citadel/agent.env")).toBe("600");
      expect(must(box, "citadel-agent config show | grep retention_days")).toMatch(/\b45$/);
      expect(must(box, "systemctl is-active citadel-agent")).toBe("active");
      must(box, "citadel-agent links verify");
      interface Status {
        readonly jobs: { readonly state: string; readonly kind: string }[];
        readonly automatic: boolean;
      }
      const status = JSON.parse(
        must(box, "citadel-agent backup status --jobs 50 --json"),
      ) as Status;
      expect(status.automatic).toBe(true);
      expect(status.jobs.filter(({ state }) => state === "failed")).toEqual([]);
      // Two of the host that is gone, two of the new one; the last of the former wrote the catalogue that was brought.
      expect(status.jobs.filter(({ kind }) => kind === "create").length).toBeGreaterThanOrEqual(3);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }, 240_000);
});
