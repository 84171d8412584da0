// The service under a real systemd, in a box of its own: installed, ready, hung, killed, reloaded, stopped, removed.

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { builtBinary } from "../support/built-binary.ts";
import { missingPrograms, startService } from "../support/services.ts";

const missing =
  process.getuid?.() === 0
    ? missingPrograms("systemd-nspawn", "debootstrap", "nsenter")
    : "needs root";
if (missing !== undefined) console.log(`skipped: the service under systemd: ${missing}`);

const shared = `${tmpdir()}/agent-services-0/systemd-box/image`;
const image = existsSync(`${shared}/.ready`) ? shared : `${tmpdir()}/citadel-test-box-image`;

/** Undefined, with the reason printed: there is no image yet, and no mirror to make one from. */
function startBox(binary: string) {
  try {
    return startService("systemd-box", {
      BOX_IMAGE: image,
      BOX_BIND: `${dirname(binary)}:/opt/agent /dev/kmsg:/dev/kmsg`,
      BOX_ARGS: "--capability=CAP_SYSLOG",
    });
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    if (existsSync(`${image}/.ready`) || !/debootstrap failed|no Debian mirror/.test(why))
      throw thrown;
    console.log(`skipped: the service under systemd: no image can be made: ${why.slice(-200)}`);
    return undefined;
  }
}

describe.skipIf(missing !== undefined)("under systemd", () => {
  test("the service runs, is watched, repaired, reloaded and taken off again", async () => {
    const binary = builtBinary();
    await using box = startBox(binary);
    if (box === undefined) return;
    const sh = (script: string) => {
      const { exitCode, stdout } = box.call(["exec", "bash", "-c", `exec 2>&1; ${script}`], 60_000);
      return { exitCode, said: stdout.trim() };
    };
    const until = (what: string, script: string) => {
      const loop = `for i in $(seq 150); do { ${script}; } >/dev/null && exit 0; sleep 0.1; done; exit 1`;
      const { exitCode } = sh(loop);
      if (exitCode !== 0)
        throw new Error(`${what}\n${sh("journalctl --no-pager -o cat -n 40").said}`);
    };
    const agent = "/opt/agent/citadel-agent";
    const property = (name: string) => sh(`systemctl show -p ${name} --value citadel-agent`).said;
    sh(`mkdir -p /opt/citadel /mnt/citadel-models /mnt/citadel-backup
      for each in models backup; do mount -t tmpfs t /mnt/citadel-$each; done
      printf 'STORAGE_MONITOR_CHECK_INTERVAL=1\\nSYMLINK_HEALTH_CHECK_INTERVAL=1\\nSTORAGE_MONITOR_CPU_USAGE_WARNING=1\\n' > /etc/a.env
      chmod 600 /etc/a.env`);
    expect(sh(`${agent} setup --yes`).exitCode).toBe(0);

    const install = `${agent} service install --now --env-file /etc/a.env`;
    const installed = sh(install);
    expect([installed.exitCode, installed.said]).toEqual([0, expect.stringContaining("done")]);
    expect(sh(install).said).toContain("nothing to do");
    expect(sh(`${agent} service status --env-file /etc/a.env`).exitCode).toBe(0);
    expect(property("ActiveState")).toBe("active");
    until("a status line", `systemctl show -p StatusText citadel-agent | grep -q probes`);
    expect(sh("stat -c %a /run/citadel-agent/status.json").said).toBe("644");

    // The sandbox lets everything work: links, the kernel's log, mounts as the host has them.
    sh("rm /opt/citadel/staging");
    until("the link is back", "test -L /opt/citadel/staging");
    const status = "cat /run/citadel-agent/status.json";
    expect(sh(`${status} | tr ',' '\\n' | grep -A1 '"kernel":'`).said).not.toContain("unknown");
    sh("umount /mnt/citadel-backup");
    until("the missing mount", `${status} | grep -q MOUNT_MISSING`);
    sh("mount -t tmpfs t /mnt/citadel-backup");
    until("it is back", `! ${status} | grep -q '"name":"MOUNT_MISSING"'`);

    // Scheduled work and SMART run in units of their own.
    until("the backup unit", "journalctl -u 'citadel-agent-backup@run-due' | grep -q Finished");
    expect(sh("systemctl start citadel-agent-smart.service").exitCode).toBe(0);
    expect(sh("test -s /run/citadel-agent/smart.json").exitCode).toBe(0);

    // Reload, wrong settings, and the journal tells.
    const main = property("MainPID");
    expect(sh("systemctl reload citadel-agent").exitCode).toBe(0);
    until("the reload", "journalctl -u citadel-agent -o cat | grep -q 'settings reloaded'");
    expect(property("MainPID")).toBe(main);
    expect(sh("journalctl -u citadel-agent -p warning -o cat").said).toContain("link restored");

    // Killed and hung: systemd brings it back.
    sh(`mkdir -p /run/systemd/system/citadel-agent.service.d
      printf '[Service]\\nRestartSec=0\\nWatchdogSec=2\\n' > /run/systemd/system/citadel-agent.service.d/test.conf
      systemctl daemon-reload; systemctl restart citadel-agent`);
    sh(`kill -9 ${property("MainPID")}`);
    until("a restart", "test $(systemctl show -p NRestarts --value citadel-agent) -ge 1");
    until("active", "systemctl is-active -q citadel-agent");
    sh(`kill -STOP ${property("MainPID")}`);
    until("the watchdog", "test $(systemctl show -p NRestarts --value citadel-agent) -ge 2");
    expect(sh("journalctl -u citadel-agent -o cat").said).toContain("Watchdog timeout");
    until("active again", "systemctl is-active -q citadel-agent");

    expect(sh(`${agent} monitor stop`).exitCode).toBe(0);
    expect(property("ActiveState")).toBe("inactive");
    expect(property("Result")).toBe("success");
    const removed = sh(`${agent} service uninstall --env-file /etc/a.env`);
    expect([removed.exitCode, removed.said]).toEqual([0, expect.stringContaining("done")]);
    expect(sh("ls /etc/systemd/system /usr/local/bin | grep citadel").said).toBe("");
    expect(sh("systemctl is-enabled citadel-agent").exitCode).not.toBe(0);
    expect(sh("test -L /opt/citadel/models").exitCode).toBe(0);
  }, 240_000);
});
