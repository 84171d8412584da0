// A short form of scripts/crash-campaign.ts: a sample of the kill points and errors of each scenario.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { buildDriver, runCampaign } from "../support/campaign.ts";
import { parseCalls, straceAvailable } from "../support/crash.ts";
import { scenarios, type ScenarioName } from "../support/scenarios.ts";

if (!straceAvailable) console.log("skipped: strace is missing, or may not trace here");

describe.skipIf(!straceAvailable)("a killed or failing transaction", () => {
  let directory = "";
  let driver: string[] = [];
  beforeAll(async () => {
    directory = mkdtempSync(`${tmpdir()}/citadel-driver-`);
    driver = await buildDriver(directory);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test.each(Object.keys(scenarios) as ScenarioName[])(
    "%s: is old or new after the next run, with nothing left over",
    async (scenario) => {
      const report = await runCampaign({ scenario, driver, limit: 9, errnos: ["EIO"] });
      expect(report.failures).toEqual([]);
      expect(report.kills).toBeGreaterThan(7);
      expect(report.errors).toBeGreaterThan(7);
    },
    120_000,
  );

  test("a full disk at any call is exit 7 with everything undone, or all new", async () => {
    const report = await runCampaign({ scenario: "links", driver, limit: 9, errnos: ["ENOSPC"] });
    expect(report.failures).toEqual([]);
    expect(report.errors).toBeGreaterThan(7);
  }, 120_000);

  test("killed while its very first journal is made", async () => {
    const options = {
      scenario: "links",
      driver,
      limit: 9,
      errnos: [],
      freshJournal: true,
    } as const;
    expect((await runCampaign(options)).failures).toEqual([]);
  }, 120_000);
});

test("parseCalls counts by name on the main thread and keeps what is below the paths", () => {
  const log = [
    '10 rename("/t/a", "/t/b") = 0',
    '11 rename("/t/c", "/t/d") = 0',
    '10 write(1</dev/null>, "x", 1) = 1',
    '10 rename("/other", "/place") = 0',
    '10 openat(AT_FDCWD</>, "/t/x", O_RDONLY) = 3</t/x>',
    '10 rename("/proc/self/fd/5/a", "/proc/self/fd/5/b") = 0',
  ].join("\n");
  expect(parseCalls(log, ["/t/"]).map(({ call, when }) => [call, when])).toEqual([
    ["rename", 1],
    ["rename", 3],
  ]);
});
