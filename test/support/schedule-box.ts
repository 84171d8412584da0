// Hosts for tests of the schedule: a booted systemd with both storages, models and the program in its place.

import { expect } from "bun:test";
import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import { builtBinary } from "./built-binary.ts";
import { bootSystemdBox, type SystemdBox } from "./systemd-box.ts";

export const program = "/usr/local/bin/citadel-agent";
export const models = "/mnt/citadel-models/active";

/** A box with both storages, models and our binary. Its zone is no whole hour from UTC, as a few are. */
export function bootBackupHost(): SystemdBox {
  const box = bootSystemdBox([
    `${dirname(builtBinary())}:/opt/agent`,
    `${realpathSync(process.execPath)}:/opt/bun`,
  ]);
  must(
    box,
    `ln -sf /usr/share/zoneinfo/Asia/Kolkata /etc/localtime
    for each in models backup; do mkdir /mnt/citadel-$each; mount -t tmpfs t /mnt/citadel-$each; done
    mkdir -p ${models}/llama /etc/citadel
    for each in 1 2 3 4; do head -c 2000000 /dev/urandom > ${models}/llama/$each; done
    install -m 755 /opt/agent/citadel-agent ${program}`,
  );
  return box;
}

/** Runs a script that may not fail. @returns what it said, trimmed */
export function must(box: SystemdBox, script: string): string {
  const { exitCode, stdout, stderr } = box.bash(`set -e; ${script}`);
  if (exitCode !== 0) {
    const journal = box.bash("journalctl --no-pager -o cat -n 60").stdout;
    throw new Error(`${exitCode}: ${script}\n${stdout}${stderr}${journal}`);
  }
  return stdout.trim();
}

/** The document of a command, whatever it ends with: `status` ends with 3 where it found something. */
export const asJson = <T>(box: SystemdBox, words: string) =>
  JSON.parse(box.bash(`${program} ${words} --json`).stdout) as T;

/** Waits for a condition inside. */
export function until(box: SystemdBox, what: string, script: string): void {
  const loop = `for i in $(seq 400); do { ${script}; } >/dev/null 2>&1 && exit 0; sleep 0.1; done; exit 1`;
  if (box.bash(loop).exitCode === 0) return;
  throw new Error(`${what}\n${box.bash("journalctl --no-pager -o cat -n 60").stdout}`);
}

/** Only a daily type, due once a day at the minute that it is now: a new schedule is due at its very time. */
export function writeSettings(box: SystemdBox, more = ""): void {
  const cron = must(box, "date '+%-M %-H * * *'");
  must(
    box,
    `printf '%s\n' 'BACKUP_BACKUP_SCHEDULE="${cron}"' 'BACKUP_BACKUP_TYPES={}' ${more} > /etc/citadel/agent.env
    chmod 600 /etc/citadel/agent.env`,
  );
}

/** As after days in which nothing ran. */
export function missDays(box: SystemdBox, days: number): void {
  const script = `import { Database } from "bun:sqlite";
    const catalog = new Database("/var/lib/citadel-agent/catalog.db");
    const names = "('schedule.daily', 'schedule-seen.daily')";
    const change = "UPDATE facts SET value = value - ? WHERE name IN " + names;
    console.log(catalog.run(change, [${days * 86_400_000}]).changes > 0);`;
  must(box, `cat > /root/miss.ts <<'E'\n${script}\nE`);
  expect(must(box, "/opt/bun /root/miss.ts")).toBe("true");
}

interface Snapshots {
  readonly snapshots: { readonly id: string; readonly area: string; readonly state: string }[];
}
/** The snapshots of the models, oldest first; each must be complete. */
export const snapshotsOf = (box: SystemdBox) => {
  const { snapshots } = asJson<Snapshots>(box, "backup list");
  expect(snapshots.every(({ state }) => state === "complete")).toBe(true);
  return snapshots.filter(({ area }) => area === "models").map(({ id }) => id);
};
interface Status {
  readonly jobs: { readonly kind: string; readonly state: string; readonly source: string }[];
}
/** How many backups of the models ended so. */
export const createJobs = (box: SystemdBox, state: string) =>
  asJson<Status>(box, "backup status --jobs 50").jobs.filter(
    (job) => job.kind === "create" && job.state === state && job.source === models,
  ).length;
