// What falls due while a backup runs: systemd starts no unit twice, so the run that is on its way has to see to it.

import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { runDue } from "../../src/app/backup-schedule.ts";
import { openApp } from "../../src/app/open-app.ts";
import { listSnapshots } from "../../src/backup/repository.ts";
import { createSystem } from "../../src/system/index.ts";

test("a type that falls due during a run is run after it, by the same process", async () => {
  const root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/overlap-`));
  try {
    fs.mkdirSync(`${root}/mnt/citadel-models/active/m`, { recursive: true });
    fs.mkdirSync(`${root}/mnt/citadel-backup`);
    fs.mkdirSync(`${root}/etc/citadel`, { recursive: true });
    fs.writeFileSync(`${root}/mnt/citadel-models/active/m/w`, "weights");
    fs.writeFileSync(
      `${root}/etc/citadel/agent.env`,
      `BACKUP_BACKUP_TYPES='${JSON.stringify({ daily: "0 2 * * *", weekly: "0 3 * * *" })}'\n`,
      { mode: 0o600 },
    );
    const real = createSystem({ root });
    let nowMs = new Date("2026-06-02T02:00:10").getTime(); // local time, as the schedule is
    const clock = {
      nowMs: () => nowMs,
      monotonicMs: () => real.clock.monotonicMs(),
      sleep: (ms: number, signal?: AbortSignal) => real.clock.sleep(ms, signal),
    };
    const { app } = await openApp({ ...real, clock }, { config: undefined, envFile: undefined });
    const onProgress = () => {
      nowMs = Math.max(nowMs, new Date("2026-06-02T03:00:10").getTime()); // the backup takes an hour
    };
    const signal = new AbortController().signal;
    const { run, steps } = await runDue(app, { signal, onProgress });
    expect(run?.tags).toEqual(["daily", "weekly"]);
    expect(steps.filter(({ step, ok }) => step === "backup" && ok)).toHaveLength(2);
    const models = listSnapshots(`${root}/mnt/citadel-backup`).filter(
      ({ area }) => area === "models",
    );
    expect(models.map(({ record }) => record?.tags)).toEqual([["daily"], ["weekly"]]);
    expect((await runDue(app, { signal, onProgress })).run).toBeNull();
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}, 60_000);
