// Our rules as the real udev reads them: `udevadm test` on a disk of this machine, with the rules in a mount namespace
// of the test's own. What the rule sets is what is set already.

import { describe, expect, test } from "bun:test";
import { formatUdevRules, listDisks, type SchedulerRule } from "../../src/host/index.ts";
import { createHostPaths } from "../../src/system/index.ts";

const disk = listDisks(createHostPaths(undefined)).find(({ scheduler }) => scheduler !== undefined);
const why = whyNot();
if (why !== undefined) console.log(`udevadm.test.ts is skipped: ${why}`);

function whyNot(): string | undefined {
  if (process.geteuid?.() !== 0) return "needs root";
  if (Bun.which("udevadm") === null) return "udevadm is missing";
  if (disk === undefined) return "no disk with a scheduler";
  if (pathOf(disk.sysPath) === undefined) return "udev gives the disk no ID_PATH";
  const alone = Bun.spawnSync(["unshare", "--mount", "test", "-d", "/etc/udev/rules.d"]);
  return alone.exitCode === 0 ? undefined : "no mount namespace, or no /etc/udev/rules.d";
}

function pathOf(sysPath: string): string | undefined {
  const run = Bun.spawnSync(["udevadm", "test-builtin", "path_id", sysPath], { stderr: "ignore" });
  return /^ID_PATH=(.+)$/m.exec(run.stdout.toString())?.[1];
}

/** What udev says about our file when it works on a device. */
function tryRules(text: string, sysPath: string): string[] {
  const place = "/etc/udev/rules.d";
  const script = `mount -t tmpfs -o mode=0755 none ${place} && cat > ${place}/99-citadel-storage.rules && udevadm test "$1" 2>&1`;
  const run = Bun.spawnSync(["unshare", "--mount", "sh", "-c", script, "sh", sysPath], {
    stdin: Buffer.from(text),
  });
  const lines = run.stdout.toString().split("\n");
  return lines.filter((line) => /citadel-storage\.rules:\d/.test(line));
}

const rule = (value: string): SchedulerRule => ({
  role: "models",
  identity: { key: "ENV{ID_PATH}", value },
  scheduler: disk?.scheduler?.active ?? "none",
  label: "a disk of the test",
});

describe.skipIf(why !== undefined)("udev 252 and later", () => {
  const sysPath = disk?.sysPath ?? "";
  const idPath = disk === undefined ? "" : (pathOf(disk.sysPath) ?? "");

  test("the rule matches the disk that it names, and sets its scheduler", () => {
    const said = tryRules(formatUdevRules([rule(idPath)]), sysPath);
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(`queue/scheduler' writing '${disk?.scheduler?.active}'`);
  });

  test("a name that only begins like it, or differs in a character, is not matched", () => {
    const others = [rule(`${idPath}0`), rule(idPath.slice(0, -1)), rule(`x${idPath}`)];
    expect(tryRules(formatUdevRules(others), sysPath)).toEqual([]);
  });

  test("odd characters in a serial number leave the file readable", () => {
    const odd = ['a"b', "a|b", "a[b]", "a*?", "a\\b", "a b ", "%k$env{X}"].map(rule);
    const said = tryRules(formatUdevRules([...odd, rule(idPath)]), sysPath);
    expect(said).toHaveLength(1);
    expect(said[0]).toContain("writing");
  });
});
