// The daemon's own hand on a real tree: mends links of ours that are gone or dead, leaves everything else, and stops
// after its limit.

import { expect, test } from "bun:test";
import { existsSync, readlinkSync, rmSync, symlinkSync, unlinkSync } from "node:fs";
import { repairLinks } from "../../src/app/monitor-repair.ts";
import { openLayoutState } from "../../src/app/layout-state.ts";
import { viewLayout } from "../../src/app/layout.ts";
import { verifyLinks } from "../../src/layout/index.ts";
import { createVolatileMemory } from "../../src/monitor/memory.ts";
import { createNotices } from "../../src/monitor/notices.ts";
import { loadSettings } from "../../src/settings/index.ts";
import { createSystem } from "../../src/system/index.ts";
import { createLayoutRoot } from "../support/layout-root.ts";

test("repairLinks mends links of ours, leaves foreign ones, and stops after its limit", async () => {
  using host = createLayoutRoot();
  expect((await host.run(["setup", "--yes"])).exitCode).toBe(0);
  const system = createSystem({ root: host.path });
  const app = { system, settings: loadSettings({ system }).settings };
  const { signal } = new AbortController();
  const context = { memory: createVolatileMemory(), notices: createNotices(), signal };
  const look = async () => {
    using state = openLayoutState(app);
    const scope = { directories: false, links: true, files: false };
    const view = await viewLayout(app, state, { scope });
    return verifyLinks(view.desired, view.actual, view.history, view.ownersMatter);
  };
  const models = host.at("/opt/citadel/models");
  const staging = host.at("/opt/citadel/staging");
  const downloads = host.at("/opt/citadel/downloads");
  for (const path of [models, staging, downloads]) unlinkSync(path);
  symlinkSync("/gone", staging);
  symlinkSync(host.at("/etc"), downloads);

  const first = await repairLinks(app, await look(), context);
  expect(first.problem).toBeUndefined();
  expect([...first.repaired].sort()).toEqual([models, staging]);
  expect(readlinkSync(downloads)).toBe(host.at("/etc"));

  const perHour = app.settings.monitoring.repairs_per_hour;
  for (let round = 1; round < perHour; round += 1) {
    rmSync(models);
    await repairLinks(app, await look(), context);
    expect(existsSync(models)).toBe(true);
  }
  rmSync(models);
  const last = await repairLinks(app, await look(), context);
  expect(last.exhausted).toEqual([models]);
  expect(existsSync(models)).toBe(false);
});
