// The full crash campaign: a kill before every changing system call and each of four errors at each of them, over
// every scenario. Prints how many ran; exits 1 if anything was neither old nor new. Needs strace.
// Usage: bun scripts/crash-campaign.ts [--scenario NAME] [--limit N] [--errno EIO,ENOSPC] [--verbose]

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { allErrnos, buildDriver, runCampaign } from "../test/support/campaign.ts";
import { straceAvailable } from "../test/support/crash.ts";
import { scenarios, type ScenarioName } from "../test/support/scenarios.ts";

const { values } = parseArgs({
  options: {
    scenario: { type: "string" },
    limit: { type: "string" },
    errno: { type: "string" },
    verbose: { type: "boolean", default: false },
  },
});
if (!straceAvailable) {
  console.error("strace is missing, or may not trace here");
  process.exit(1);
}

const all = Object.keys(scenarios) as ScenarioName[];
const work = mkdtempSync(`${tmpdir()}/citadel-campaign-`);
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
const driver = await buildDriver(work);
const errnos = values.errno === undefined ? allErrnos : values.errno.split(",").filter(Boolean);
let failed = 0;
let kills = 0;
let errors = 0;
for (const scenario of all.filter((name) => (values.scenario ?? name) === name)) {
  for (const freshJournal of [false, true]) {
    const started = performance.now();
    const report = await runCampaign({
      scenario,
      errnos: freshJournal ? [] : errnos,
      freshJournal,
      driver,
      limit: values.limit === undefined ? undefined : Number(values.limit),
      onProgress: values.verbose ? (text) => console.log(text) : undefined,
    });
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    console.log(
      `${scenario}${freshJournal ? ", first journal" : ""}: ${report.calls} changing calls, ${report.kills} kill points, ${report.errors} injected errors, ${report.missed} missed, ${report.failures.length} failures, ${seconds} s`,
    );
    for (const failure of report.failures) console.log(`  ${failure.slice(0, 600)}`);
    failed += report.failures.length;
    kills += report.kills;
    errors += report.errors;
  }
}
console.log(`${kills} kill points, ${errors} injected errors, ${failed} failures`);
process.exit(failed === 0 ? 0 : 1);
