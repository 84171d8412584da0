// The unit files themselves, judged by systemd's own tools.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { serviceUnits, type Unit, type UnitFacts } from "../../src/service/units.ts";
import { missingPrograms } from "../support/services.ts";

const missing = missingPrograms("systemd-analyze");
if (missing !== undefined) console.log(`skipped: units: ${missing}`);

const directory = mkdtempSync(`${tmpdir()}/citadel-units-`);
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const facts: UnitFacts = {
  binary: `${directory}/citadel-agent`,
  flags: ["--config", "/etc/citadel/with blank $HOME 100%.yaml"],
  roots: ["/opt/citadel", "/mnt/citadel-models", "/mnt/citadel-backup"],
  stateDir: "/var/lib/citadel-agent",
  homes: ["/home/agent0"],
  smartIntervalS: 3600,
  smart: true,
  kernelLog: true,
  monitoring: false,
  backupTimes: ["*-*-* 02:00:00"],
};
const units = serviceUnits(facts);
const analyze = (...words: readonly string[]) => {
  const run = Bun.spawnSync(["systemd-analyze", ...words], { cwd: directory, stderr: "pipe" });
  return { exitCode: run.exitCode, said: run.stdout.toString() + run.stderr.toString() };
};

/** The bar of spec/monitor.md. */
const exposureLimit = 2.5;

describe.skipIf(missing !== undefined)("the units", () => {
  beforeAll(() => {
    writeFileSync(facts.binary, "#!/bin/sh\n");
    chmodSync(facts.binary, 0o755);
    for (const { name, content } of units) writeFileSync(`${directory}/${name}`, content);
  });

  test.each(units.map(({ name }) => name))(
    "%s: systemd-analyze verify has nothing to say",
    (name) => {
      expect(analyze("verify", `./${name}`)).toEqual({ exitCode: 0, said: "" });
    },
  );

  test.each(units.map(({ name }) => name).filter((name) => name.endsWith(".service")))(
    "%s is exposed no more than the bar",
    (name) => {
      const { said } = analyze("security", "--offline=true", "--no-pager", `./${name}`);
      const level = /Overall exposure level[^:]*: (\d+\.\d+)/.exec(said)?.[1];
      expect(Number(level)).toBeLessThanOrEqual(exposureLimit);
    },
  );

  test("every service shuts the doors that Bun's runtime opens by environment, whoever sets it", () => {
    for (const { name, content } of units.filter(({ name: unit }) => unit.endsWith(".service"))) {
      const unset = /^UnsetEnvironment=(.*)$/m.exec(content)?.[1]?.split(" ") ?? [];
      expect([name, unset.includes("BUN_BE_BUN"), unset.includes("BUN_OPTIONS")]).toEqual([
        name,
        true,
        true,
      ]);
    }
  });

  test("a path with blanks, dollars and percents stays one argument", () => {
    const daemon = units.find(({ name }) => name === "citadel-agent.service") as Unit;
    expect(daemon.content).toContain('"/etc/citadel/with blank $$HOME 100%%.yaml"');
  });

  test("nothing binds a storage root: a disk that is gone must not look mounted", () => {
    for (const { content } of units) expect(content).not.toMatch(/^ReadWritePaths=.*\/mnt/m);
  });

  test("a root below /home is not hidden", () => {
    const [daemon] = serviceUnits({ ...facts, roots: ["/home/agent0/citadel"] });
    expect(daemon?.content).toContain("ProtectHome=no");
  });
});
