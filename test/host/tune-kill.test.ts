// `tune apply` killed at each program it starts, and each program failing once: afterwards, and after the recovery
// that the next command does by itself, everything is as it was before.

import { describe, expect, test } from "bun:test";
import { cliCommand } from "../support/run-cli.ts";
import { createPrivateHost, whyNoPrivateHost, type PrivateHost } from "../support/private-host.ts";

const why = whyNoPrivateHost("ext4");
if (why !== undefined) console.log(`tune-kill.test.ts is skipped: ${why}`);
const live = describe.skipIf(why !== undefined);

const programs = ["mount", "umount", "tune2fs", "findmnt", "unshare", "sed"];
const shared = (host: PrivateHost, name: string) => `${host.directory}/${name}`;

/**
 * Counts every start of a program. At the chosen one: `before` kills the agent and then does the work (a child goes
 * on when its parent dies), `after` does the work first, `fail` only fails.
 */
function wrapPrograms(host: PrivateHost): void {
  for (const program of programs) {
    host.wrap(
      program,
      `D=${host.directory}
       [ -e $D/armed ] || exec $REAL "$@"
       n=$(flock $D/lock sh -c 'echo "$2" >> $1/count; wc -l < $1/count' sh $D "$(basename $0) $(echo "$*" | tr '\\n' ' ')")
       [ "$n" = "$(cat $D/at)" ] || exec $REAL "$@"
       echo "$(basename $0) $*" > $D/hit
       case "$(cat $D/mode)" in
         fail) exit 32 ;;
         before) kill -9 "$(cat $D/pid)"; exec $REAL "$@" ;;
         after) $REAL "$@"; rc=$?; kill -9 "$(cat $D/pid)"; exit $rc ;;
       esac`,
    );
  }
}

/** Runs `tune apply --remount-now` with the wrapped programs; waits until nothing it started runs any more. */
function applyArmed(host: PrivateHost, mode: string, at: number) {
  const D = host.directory;
  host.bash(
    `rm -f ${D}/count ${D}/hit ${D}/pid; echo ${mode} > ${D}/mode; echo ${at} > ${D}/at; touch ${D}/armed ${D}/count`,
  );
  const agent = `echo $$ > ${D}/pid; exec ${cliCommand().join(" ")} tune apply --yes --json --profile planb-02 --remount-now`;
  // cat ends when the last process that holds the pipe has ended: the agent's orphans too.
  const run = host.run([
    "bash",
    "-c",
    `bash -c '${agent}' 2>&1 | cat > ${D}/output; exit \${PIPESTATUS[0]}`,
  ]);
  host.bash(`rm ${D}/armed`);
  return { ...run, hit: host.bash(`cat ${shared(host, "hit")} 2>/dev/null || true`) };
}

/**
 * Which starts to hit: all that change something, and every fourth of those that only look (numbers from 1).
 * Found by a run that nothing disturbs, taken back afterwards.
 */
function chooseStarts(host: PrivateHost): number[] {
  applyArmed(host, "fail", 0);
  const lines = host.bash(`cat ${shared(host, "count")}`).split("\n");
  host.agent("tune", "rollback", "--yes");
  const changes = /^(?:mount|umount|unshare|tune2fs -o)\b/;
  expect(lines.filter((line) => changes.test(line)).length).toBeGreaterThanOrEqual(5);
  return lines.flatMap((line, at) => (changes.test(line) || at % 4 === 0 ? [at + 1] : []));
}

function stateOf(host: PrivateHost): string {
  return host.bash(`sha256sum < /etc/fstab; ls /etc | grep -c citadel-agent || true
    for m in models backup; do findmnt -n -o SOURCE,FSTYPE,VFS-OPTIONS /mnt/citadel-$m || echo not mounted; done
    for d in ${host.devices.models} ${host.devices.backup}; do
      tune2fs -l $d | grep '^Default mount'
      grep -E '^(no)?barrier$|^data=' /proc/fs/ext4/\${d#/dev/}/options
    done`);
}

live("tune apply --remount-now --profile planb-02", () => {
  test.each(["before", "after"])(
    "killed %s each program that changes something, and some of those that look",
    (mode) => {
      using host = createPrivateHost("ext4", "ext4");
      wrapPrograms(host);
      const before = stateOf(host);
      for (const at of chooseStarts(host)) {
        const run = applyArmed(host, mode, at);
        expect(`${at} ${run.hit}: ${run.exitCode}`).toEndWith(": 137");
        const recovery = host.agent("tune", "rollback", "--yes", "--json");
        expect(`${at} ${run.hit}: ${recovery.exitCode} ${recovery.stderr}`).toEndWith(": 0 ");
        expect(`${at} ${run.hit}\n${stateOf(host)}`).toBe(`${at} ${run.hit}\n${before}`);
      }
    },
    180_000,
  );

  test("with each such program failing once, it ends undone or done, never between", () => {
    using host = createPrivateHost("ext4", "ext4");
    wrapPrograms(host);
    const before = stateOf(host);
    let undone = 0;
    for (const at of chooseStarts(host)) {
      const run = applyArmed(host, "fail", at);
      expect(run.hit).not.toBe("");
      const now = stateOf(host);
      const about = `${at} ${run.hit} exit ${run.exitCode}`;
      if (run.exitCode === 4) {
        // A program that only looks may be missed: then the change is whole, and goes back whole.
        expect(`${about} ${host.bash("grep -c noatime /etc/fstab")}`).toEndWith(" 2");
        host.agent("tune", "rollback", "--yes");
        expect(`${about}\n${stateOf(host)}`).toBe(`${about}\n${before}`);
      } else {
        undone += 1;
        expect(`${about}\n${now}`).toBe(`${about}\n${before}`);
      }
    }
    expect(undone).toBeGreaterThan(4);
  }, 180_000);
});
