// `backup verify`: proves snapshots, or says what is wrong with them and where.

import {
  verifyAndRecord,
  findSnapshot,
  backupPlaces,
  lockSnapshot,
  type VerifyRun,
} from "../../app/backup-repository.ts";
import { InodeLedger } from "../../backup/verify/inode-ledger.ts";
import { listSnapshots, readable, type FoundSnapshot } from "../../backup/repository.ts";
import type { VerifyReport } from "../../backup/verify/report.ts";
import { openCheckers, verifyWorkers } from "../../backup/verify/verify.ts";
import type { App } from "../../app/app.ts";
import { unmountedWarning } from "../../app/backup-mounts.ts";
import { CitadelError, ExitCode, formatBytes } from "../../core/index.ts";
import type { Output } from "../../output/index.ts";
import { defineAgentCommand } from "../define.ts";
import { failedReport, formatVerify, toVerifyDocument } from "./verify-output.ts";

export const command = defineAgentCommand({
  description: "proves snapshots: manifest, structure, and every byte or a sample",
  access: "change",
  args: {
    snapshot: {
      type: "positional",
      required: false,
      description: "an id, a path, latest (default), latest:SOURCE",
    },
    rate: {
      type: "positional",
      required: false,
      value: "number",
      min: 0,
      max: 1,
      fraction: true,
      description: "as --sample",
    },
    all: { type: "boolean", description: "every complete snapshot; shared files are read once" },
    mode: {
      type: "enum",
      options: ["quick", "full"],
      default: "quick",
      description: "quick: every 16 MiB by xxh3; full: SHA-256 of every file too",
    },
    sample: {
      type: "number",
      min: 0,
      max: 1,
      fraction: true,
      valueHint: "R",
      description: "check only this share of the files; 0: structure only",
    },
    seed: { type: "number", min: 0, max: 4_294_967_295, description: "seed of the random sample" },
    rotate: { type: "boolean", description: "sample those verified longest ago (default 0.1)" },
    rolling: {
      type: "boolean",
      description: "one day's slice of everything, within the budget, as the daemon does",
    },
    cached: { type: "boolean", description: "read through the page cache; proves no disk" },
  },
  examples: [
    "citadel-agent backup verify",
    "citadel-agent backup verify --all --mode full",
    "citadel-agent backup verify /mnt/citadel-backup/latest 0.1",
  ],
  details:
    "With --dry-run everything is checked and nothing recorded: neither the result\nnor what was read counts for the coverage.",
  async run({ app, args, out, signal, globals }) {
    if (args.rolling === true && (args.snapshot !== undefined || args.all === true)) {
      throw notBoth("--rolling", args.all === true ? "--all" : "a snapshot");
    }
    if (args.rate !== undefined && args.sample !== undefined && args.rate !== args.sample) {
      throw notBoth(`the rate ${args.rate}`, `--sample ${args.sample}`);
    }
    if (args.rolling === true && globals.dryRun) return showRollingPlan(app, out);
    if (args.rolling === true) return runRollingSlice(app, out, signal);
    const rate = args.sample ?? args.rate;
    const run: VerifyRun = {
      mode: args.mode,
      cached: args.cached === true,
      sampleRate: rate ?? (args.rotate === true ? 0.1 : 1),
      seed: args.seed ?? Math.floor(Math.random() * 2 ** 32),
      rotate: args.rotate === true,
      ledger: args.all === true ? new InodeLedger() : undefined,
    };
    if (args.all === true && args.snapshot !== undefined) throw notBoth("--all", "a snapshot");
    const name = args.snapshot ?? "latest";
    // they come up while the snapshot is looked for and locked, and serve all of them
    using checkers =
      run.sampleRate === 0
        ? undefined
        : openCheckers(verifyWorkers({ ...run, cores: backupPlaces(app).cores }));
    const reports: VerifyReport[] = [];
    const warnUnmounted = () => {
      const unmounted = unmountedWarning(app);
      if (unmounted !== undefined) out.warn(unmounted);
    };
    const verify = async (snapshot: FoundSnapshot) => {
      using _lock = await lockSnapshot(
        app,
        snapshot.id,
        "backup verify",
        globals.lockTimeoutMs,
        signal,
      );
      const report = await verifyAndRecord(
        app,
        snapshot,
        { ...run, unrecorded: globals.dryRun },
        {
          signal,
          checkers,
          onProgress: (progress) => out.progress({ activity: "verifying", ...progress }),
        },
      );
      for (const remark of report.remarks) out.warn(remark);
      reports.push(report);
    };
    if (args.all === true) {
      const found = listSnapshots(backupPlaces(app).backupRoot).filter(
        ({ state }) => state !== "partial",
      );
      const shut = found.filter(({ state }) => state === "unknown");
      if (shut.length === found.length) shut.forEach(readable);
      for (const snapshot of found) {
        if (snapshot.state !== "unknown") await verify(snapshot);
        else reports.push(failedReport(snapshot.id, "unreadable", run));
      }
      for (const { state, id, why } of shut) {
        out.warn(`${id} was not checked (${why ?? state}): run the command as root`);
      }
      if (reports.length === 0) {
        warnUnmounted();
        reports.push(failedReport("--all", "unknown", run));
      }
    } else {
      try {
        const { snapshot } = await findSnapshot(app, name, signal, "newest");
        await verify(snapshot);
      } catch (thrown) {
        if (!(thrown instanceof CitadelError) || thrown.code !== "SNAPSHOT_UNKNOWN") throw thrown;
        warnUnmounted();
        reports.push(failedReport(name, "unknown", run));
      }
    }
    const isValid = reports.every(({ valid }) => valid);
    const document =
      args.all === true
        ? { valid: isValid, snapshots: reports.map(toVerifyDocument) }
        : toVerifyDocument(reports[0] as VerifyReport);
    out.result("backup-verify", document, () =>
      reports.map((report) => formatVerify(report, out.style)).join("\n"),
    );
    return isValid ? ExitCode.success : ExitCode.findings;
  },
});

async function runRollingSlice(app: App, out: Output, signal: AbortSignal): Promise<ExitCode> {
  const { runRolling } = await import("../../app/backup-rolling.ts");
  const { before, after, bytesRead, reports, warning } = await runRolling(app, signal);
  if (warning !== undefined) out.warn(warning);
  const valid = reports.every((report) => report.valid);
  const snapshots = reports.map(toVerifyDocument);
  out.result("backup-verify", { valid, bytes_read: bytesRead, coverage: after, snapshots }, () =>
    [
      ...reports.filter((report) => !report.valid).map((report) => formatVerify(report, out.style)),
      `read ${formatBytes(bytesRead)}; ${(after.ratio * 100).toFixed(1)} % of ${formatBytes(after.bytes_total)} proved within ${after.every_days} days (before: ${(before.ratio * 100).toFixed(1)} %)`,
    ].join("\n"),
  );
  return valid ? ExitCode.success : ExitCode.findings;
}

/** What the next slice would read; nothing is read for it but manifests. */
async function showRollingPlan(app: App, out: Output): Promise<ExitCode> {
  const { planRolling } = await import("../../app/backup-rolling.ts");
  const plan = planRolling(app);
  const { bytes = 0, coverage } = plan ?? {};
  const fields = { bytes, coverage: coverage ?? null };
  out.result("backup-verify-plan", fields, () =>
    coverage === undefined
      ? "nothing was backed up yet: there is nothing to verify. Nothing was changed."
      : `would read up to ${formatBytes(bytes)}, what was proved longest ago first; ${(coverage.ratio * 100).toFixed(1)} % of ${formatBytes(coverage.bytes_total)} is proved within ${coverage.every_days} days. Nothing was changed.`,
  );
  return ExitCode.success;
}

function notBoth(one: string, other: string): CitadelError {
  return new CitadelError({
    kind: "usage",
    code: "ARGUMENTS_CONFLICT",
    message: `${one} and ${other} exclude each other`,
    hint: "leave out one of the two",
  });
}
