// The schedule in root's crontab with Debian's cron: the real crontab(1) and the real daemon, in a namespace of their
// own in which the spool, the state and the storages are private.

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { builtBinary } from "../support/built-binary.ts";
import { scrubbedEnvironment } from "../support/run-cli.ts";
import { missingPrograms } from "../support/services.ts";

const root = process.geteuid?.() === 0;
const why = root ? missingPrograms("cron", "crontab", "unshare", "nsenter") : "needs root";
if (why !== undefined) console.log(`skipped: the schedule in a crontab: ${why}`);

const fakeTime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
const program = "/usr/local/bin/citadel-agent";
const table = "/var/spool/cron/crontabs/root";

interface Host extends Disposable {
  /** @returns what a script said; throws where it fails */
  bash(script: string): string;
}

function createHost(): Host {
  const setUp = `set -e; umask 022
    for each in /var/lib /run /mnt /opt /var/spool/cron /usr/local/bin; do mount -t tmpfs -o mode=0755 t $each; done
    mkdir -m 1730 /var/spool/cron/crontabs; chgrp crontab /var/spool/cron/crontabs
    mkdir -p /mnt/citadel-models /mnt/citadel-backup /opt/etc
    for each in models backup; do mount -t tmpfs t /mnt/citadel-$each; done
    mkdir -p /mnt/citadel-models/active/llama; head -c 100000 /dev/urandom > /mnt/citadel-models/active/llama/w
    install -m 755 ${builtBinary()} ${program}
    touch /run/ready; exec sleep 300`;
  const words = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"];
  const holder = Bun.spawn([...words, "bash", "-c", setUp], { stdin: "ignore", stderr: "inherit" });
  const children = `/proc/${holder.pid}/task/${holder.pid}/children`;
  const run = (script: string) => {
    const pid = Bun.spawnSync(["cat", children]).stdout.toString().trim();
    const inside = ["nsenter", "-t", pid, "-m", "-p", "--", "bash", "-euc", script];
    const done = Bun.spawnSync(inside, {
      cwd: "/",
      env: { ...scrubbedEnvironment },
      stderr: "pipe",
      timeout: 150_000,
    });
    return { exitCode: done.exitCode, said: done.stdout.toString(), wrong: done.stderr.toString() };
  };
  const isReady = () => run("test -e /run/ready").exitCode === 0;
  for (let tries = 0; !isReady() && tries < 200; tries += 1) Bun.sleepSync(20);
  return {
    bash(script) {
      const { exitCode, said, wrong } = run(script);
      if (exitCode !== 0) throw new Error(`${exitCode}: ${script}\n${said}${wrong}`);
      return said;
    },
    [Symbol.dispose]: () => holder.kill("SIGKILL"),
  };
}

describe.skipIf(why !== undefined)("the schedule in root's crontab", () => {
  test("only our own block comes and goes, whoever else edits the table", () => {
    using host = createHost();
    const install = `${program} backup schedule install --cron`;
    const remove = `${program} backup schedule remove`;

    // Nobody has a table: ours is made, and goes with us.
    host.bash(install);
    expect(host.bash("crontab -l")).toContain(`0 2 * * * ${program} backup run-due\n`);
    expect(host.bash(`stat -c '%a %U' ${table}`)).toBe("600 root\n");
    host.bash(remove);
    expect(host.bash("crontab -l 2>&1 || true")).toBe("no crontab for root\n");

    // Somebody's table, made with crontab(1), edited with it while our block stands in it.
    const others = "MAILTO=''\\n# of others\\n5 4 * * * true \\377 %%in\\n\\n";
    host.bash(`printf "${others}" | crontab -`);
    const before = host.bash(`crontab -l | base64; stat -c '%a %u %g' ${table}`);
    host.bash(install);
    expect(host.bash("crontab -l | grep -c run-due")).toBe("3\n");
    const again = host.bash(install);
    expect(again).toContain("nothing to do");
    host.bash("{ crontab -l; echo '6 4 * * * later'; } | crontab -");
    expect(host.bash(install)).toContain("nothing to do");
    host.bash(remove);
    expect(host.bash("crontab -l | tail -1")).toBe("6 4 * * * later\n");
    host.bash("crontab -l | sed '$d' | crontab -");
    expect(host.bash(`crontab -l | base64; stat -c '%a %u %g' ${table}`)).toBe(before);

    // A last line without its end, which crontab(1) would refuse and an editor can leave behind.
    host.bash(`printf '1 1 * * * a\\n2 2 * * * b' > ${table}`);
    host.bash(install);
    expect(host.bash("crontab -l | head -3")).toMatch(/^1 1 .* a\n2 2 .* b\n# BEGIN citadel-agent/);
    host.bash("crontab -l | crontab -"); // and crontab(1) takes the whole
    host.bash(remove);
    expect(host.bash("crontab -l")).toBe("1 1 * * * a\n2 2 * * * b\n");
  }, 120_000);

  test("cron runs what is due, from a line whose path means something to it, and the others' lines too", () => {
    using host = createHost();
    host.bash(`printf 'backup:\\n  backup_schedule: "* * * * *"\\n  backup_types: {}\\n' > "/opt/etc/of 100% \\$HOME.yml"
      chmod 600 /opt/etc/*; printf '* * * * * touch /run/others-ran\\n' | crontab -`);
    const config = `--config '/opt/etc/of 100% $HOME.yml'`;
    const said = host.bash(`${program} ${config} backup schedule install --cron 2>&1`);
    expect(said).toContain("no cron daemon runs here");
    // Its own clock stands two seconds before a minute; what it starts has the real one.
    const clock = existsSync(fakeTime)
      ? `FAKETIME='@2026-01-02 01:59:58' LD_PRELOAD=${fakeTime}`
      : "";
    host.bash(`${clock} setsid cron -f >/run/cron.log 2>&1 </dev/null & sleep 0`);
    const list = `${program} ${config} backup schedule list`;
    expect(host.bash(list)).toContain("run by the crontab");
    const made = "test -e /run/others-ran && test -L /mnt/citadel-backup/models/latest";
    host.bash(`for i in $(seq 1000); do ${made} && exit 0; sleep 0.1; done; exit 1`);
    host.bash(`${program} ${config} backup schedule remove`);
    expect(host.bash("crontab -l")).toBe("* * * * * touch /run/others-ran\n");
  }, 200_000);
});
