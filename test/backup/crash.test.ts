// A short form of `scripts/crash-campaign.ts --binary`: a sample of the kill points and errors of each backup command.

import { describe, expect, test } from "bun:test";
import { backupJobs, runBackupCampaign } from "../support/backup-campaign.ts";
import { parseThreadCalls, straceAvailable } from "../support/crash.ts";
import { cliCommand } from "../support/run-cli.ts";

if (!straceAvailable) console.log("skipped: strace is missing, or may not trace here");

describe.skipIf(!straceAvailable)("killed or failing at a system call", () => {
  const program = cliCommand();
  test.each(backupJobs)(
    "%s: names complete only what verifies, and the next run ends well",
    async (job) => {
      const report = await runBackupCampaign({ program, job, limit: 6, errnos: ["ENOSPC"] });
      expect(report.failures).toEqual([]);
      // which worker meets which call differs from run to run: some points are not met
      expect(report.kills).toBeGreaterThanOrEqual(2);
      expect(report.errors).toBeGreaterThanOrEqual(2);
    },
    120_000,
  );
});

test("the calls of workers are counted for each thread, without those that the main thread meets too", () => {
  const log = [
    '10 mkdir("/t/a", 0700) = 0',
    "11 fchmod(3</t/b>, 0644) = 0",
    "12 fchmod(4</t/c>, 0644) = 0",
    "12 fchmod(5</other>, 0644) = 0",
    "12 fchmod(6</t/d>, 0644) = 0",
    '11 mkdir("/t/e", 0700) = 0',
  ].join("\n");
  expect(parseThreadCalls(log, ["/t/"]).map(({ call, when }) => [call, when])).toEqual([
    ["fchmod", 1],
    ["fchmod", 3],
  ]);
});
