// The full crash campaign: a kill before every changing system call and each of four errors at each of them, over
// every scenario. Prints how many ran; exits 1 if anything was neither old nor new. Needs strace.
// Usage: bun scripts/crash-campaign.ts [--scenario NAME] [--limit N] [--errno EIO,ENOSPC] [--verbose]
//        bun scripts/crash-campaign.ts --binary dist/citadel-agent [--job "links create --force"] [--limit N]

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import {
  allErrnos,
  buildDriver,
  runCampaign,
  type CampaignReport,
} from "../test/support/campaign.ts";
import { backupJobs, runBackupCampaign } from "../test/support/backup-campaign.ts";
import { cliJobs, runCliCampaign } from "../test/support/cli-campaign.ts";
import { straceAvailable } from "../test/support/crash.ts";
import { whyNoPrivateHost } from "../test/support/private-host.ts";
import { scenarios, type ScenarioName } from "../test/support/scenarios.ts";
import { runTuneCampaign, tuneJobs } from "../test/support/tune-campaign.ts";

const { values } = parseArgs({
  options: {
    scenario: { type: "string" },
    binary: { type: "string" },
    job: { type: "string" },
    limit: { type: "string" },
    errno: { type: "string" },
    verbose: { type: "boolean", default: false },
  },
});
if (!straceAvailable) {
  console.error("strace is missing, or may not trace here");
  process.exit(1);
}

const errnos = values.errno === undefined ? allErrnos : values.errno.split(",").filter(Boolean);
const limit = values.limit === undefined ? undefined : Number(values.limit);
const onProgress = values.verbose ? (text: string) => console.log(text) : undefined;
const totals = { kills: 0, errors: 0, failures: 0 };

async function report(name: string, run: () => CampaignReport | Promise<CampaignReport>) {
  const started = performance.now();
  const { calls, kills, errors, missed, failures } = await run();
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(
    `${name}: ${calls} changing calls, ${kills} kill points, ${errors} injected errors, ${missed} missed, ${failures.length} failures, ${seconds} s`,
  );
  for (const failure of failures) console.log(`  ${failure.slice(0, 900)}`);
  totals.kills += kills;
  totals.errors += errors;
  totals.failures += failures.length;
}

async function overEngine(): Promise<void> {
  const work = mkdtempSync(`${tmpdir()}/citadel-campaign-`);
  process.on("exit", () => rmSync(work, { recursive: true, force: true }));
  const driver = await buildDriver(work);
  const all = Object.keys(scenarios) as ScenarioName[];
  for (const scenario of all.filter((name) => (values.scenario ?? name) === name)) {
    const options = { scenario, driver, limit, onProgress };
    await report(scenario, () => runCampaign({ ...options, errnos }));
    const first = { ...options, errnos: [], freshJournal: true };
    await report(`${scenario}, first journal`, () => runCampaign(first));
  }
}

async function overBinary(binary: string): Promise<void> {
  const program = [resolve(binary)];
  for (const [name, job] of Object.entries(cliJobs)) {
    if ((values.job ?? name) !== name) continue;
    await report(name, () => runCliCampaign({ program, job, limit, errnos, onProgress }));
  }
  for (const job of backupJobs) {
    if ((values.job ?? job) !== job) continue;
    await report(job, () => runBackupCampaign({ program, job, limit, errnos, onProgress }));
  }
  for (const job of tuneJobs) {
    if ((values.job ?? job) !== job) continue;
    const why = whyNoPrivateHost("ext4");
    if (why !== undefined) console.log(`${job}: skipped, ${why}`);
    else await report(job, () => runTuneCampaign({ program, job, limit, errnos, onProgress }));
  }
}

await (values.binary === undefined ? overEngine() : overBinary(values.binary));
console.log(
  `${totals.kills} kill points, ${totals.errors} injected errors, ${totals.failures} failures`,
);
process.exit(totals.failures === 0 ? 0 : 1);
