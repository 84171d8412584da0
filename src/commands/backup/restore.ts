// `backup restore`: a snapshot, or a part of it, into a new directory or into an existing tree.

import { isUtf8 } from "node:buffer";
import {
  activeSources,
  backupPlaces,
  failureOf,
  findSnapshot,
  lockRestoreTarget,
  lockSnapshot,
  named,
  openRecorder,
  realSource,
  type NamedSnapshot,
} from "../../app/backup-repository.ts";
import { explainUnknown } from "../../app/backup-mounts.ts";
import { pathArgument } from "../../app/path-argument.ts";
import { type JobOutcome, knownSnapshot } from "../../backup/catalog/catalog.ts";
import { jsonPath } from "../../backup/format/byte-path.ts";
import { snapshotAt } from "../../backup/repository.ts";
import type { InPlacePlan } from "../../backup/restore/compare.ts";
import { restoreInPlace } from "../../backup/restore/in-place.ts";
import { previewRestore } from "../../backup/restore/preview.ts";
import {
  restoreSnapshot,
  type RestoreContext,
  type RestoreReport,
} from "../../backup/restore/restore.ts";
import type { FoundSnapshot } from "../../backup/repository.ts";
import { CitadelError, ExitCode, counted, formatBytes, formatDuration } from "../../core/index.ts";
import type { App } from "../../app/app.ts";
import { printable, type Style } from "../../output/index.ts";
import { defineAgentCommand } from "../define.ts";
import { planChanged } from "./plan-changed.ts";
import { showRestorePlan } from "./restore-plan.ts";
import { shownPath } from "./shown-path.ts";

export const command = defineAgentCommand({
  description: "brings a snapshot or a part of it back, every byte checked while it is written",
  access: "change",
  args: {
    snapshot: {
      type: "positional",
      required: false,
      description: "an id, a path, latest, latest:SOURCE",
    },
    at: {
      type: "string",
      valueHint: "TIME",
      description: "instead of SNAPSHOT: the newest not later; a day means its end",
    },
    path: { type: "string", multiple: true, valueHint: "GLOB", description: "only what matches" },
    to: {
      type: "string",
      required: true,
      valueHint: "DIR",
      description: "absent or empty; with --in-place the tree to mend",
    },
    inPlace: { type: "boolean", description: "mend an existing tree file by file" },
    force: { type: "boolean", description: "with --in-place: replace files that differ" },
    privileged: { type: "boolean", description: "setuid bits, devices, rights in attributes" },
  },
  examples: [
    "citadel-agent backup restore latest --to /mnt/citadel-models/restored",
    "citadel-agent backup restore latest --in-place --to /mnt/citadel-models/active --path 'llama/**'",
    "citadel-agent backup restore --at 2026-01-02 --to /tmp/then",
  ],
  async run({ app, args, out, signal, globals, rawBytes }) {
    if (rawBytes("to").some((bytes) => !isUtf8(bytes))) throw notText(args.to);
    const chosen = await chooseSnapshot(app, args.snapshot, args.at, signal);
    const { snapshot } = chosen;
    const remarks = [...chosen.remarks, ...lacking(snapshot)];
    for (const remark of remarks) out.warn(remark);
    const places = backupPlaces(app);
    const options = {
      to: pathArgument(app, args.to),
      globs: args.path,
      privileged: args.privileged === true,
      isRoot: places.isRoot,
      force: args.force === true,
    };
    const context: RestoreContext = {
      clock: app.system.clock,
      signal,
      onProgress: ({ current, ...progress }) =>
        out.progress({ ...progress, current: jsonPath(current).path }),
    };
    using _lock = await lockSnapshot(
      app,
      snapshot.id,
      "backup restore",
      globals.lockTimeoutMs,
      signal,
    );
    using _target =
      args.inPlace === true && !globals.dryRun
        ? await lockRestoreTarget(app, options.to, globals.lockTimeoutMs, signal)
        : undefined;
    if (globals.dryRun || globals.planHash !== undefined) {
      const preview = await previewRestore(snapshot, options, args.inPlace === true, context);
      if (globals.dryRun) return showRestorePlan(out, snapshot, options.to, preview);
      if (globals.planHash !== preview.planHash) throw planChanged();
    }
    using recorder = openRecorder(places);
    const source = realSource(app, snapshot);
    let job: string | undefined = recorder.write((catalog) =>
      catalog.startJob({
        kind: "restore",
        source,
        destination: options.to,
        about: knownSnapshot(snapshot),
      }),
    );
    const agree = async ({ replace }: InPlacePlan) => {
      const question = `replace ${counted(replace, "file")} in ${options.to} by those of ${snapshot.id}?`;
      let isAgreed = false;
      try {
        isAgreed = await out.confirm(question);
      } finally {
        const asked = job;
        if (!isAgreed && asked !== undefined) recorder.write((catalog) => catalog.forgetJob(asked));
        if (!isAgreed) job = undefined;
      }
      return isAgreed;
    };
    const finish = (outcome: JobOutcome, failure?: { code: string; message: string }) => {
      const id = job;
      if (id !== undefined) recorder.write((catalog) => catalog.finishJob(id, outcome, failure));
      if (recorder.remark !== undefined) out.warn(recorder.remark);
    };
    try {
      const report =
        args.inPlace === true
          ? await restoreInPlace(snapshot, options, context, agree)
          : await restoreSnapshot(snapshot, options, context);
      if (report === undefined) {
        out.note("nothing was changed: the answer was no");
        return ExitCode.decision;
      }
      const { files, bytes, failed } = report;
      const lost =
        failed.length === 0
          ? undefined
          : {
              code: "RESTORE_INCOMPLETE",
              message: `${counted(failed.length, "file")} could not be restored`,
            };
      finish({ files, bytes }, lost);
      for (const text of report.remarks) out.warn(text);
      const document = toDocument({ ...report, remarks: [...remarks, ...report.remarks] });
      out.result("backup-restore", document, () => formatReport(report, out.style));
      return failed.length === 0 ? ExitCode.success : ExitCode.partial;
    } catch (thrown) {
      finish({}, failureOf(thrown));
      throw thrown;
    }
  },
});

/** What the run that made it could not take in is in no restore of it. */
function lacking({ id, record }: FoundSnapshot): string[] {
  const { skipped = 0 } = record?.counts ?? {};
  if (skipped === 0) return [];
  return [
    `${id} lacks ${counted(skipped, "path")} of its source: see "skipped" in its snapshot.json`,
  ];
}

function notText(shown: string): CitadelError {
  return new CitadelError({
    kind: "usage",
    code: "RESTORE_TARGET_NOT_TEXT",
    message: `the name of the target holds bytes that are no UTF-8: ${JSON.stringify(shown)}`,
    hint: "restore to a name in UTF-8 beside it, then rename that with mv",
  });
}

async function chooseSnapshot(
  app: App,
  name: string | undefined,
  at: string | undefined,
  signal: AbortSignal,
): Promise<NamedSnapshot> {
  if ((name === undefined) === (at === undefined)) {
    throw new CitadelError({
      kind: "usage",
      code: "ARGUMENTS_CONFLICT",
      message: "a restore needs a snapshot or --at TIME, and not both",
      hint: "see `citadel-agent backup list`; `latest` is the newest of the active models",
    });
  }
  if (at === undefined) return findSnapshot(app, name ?? "latest", signal);
  const atMs = Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(at) ? `${at}T23:59:59.999` : at);
  if (Number.isNaN(atMs)) {
    throw new CitadelError({
      kind: "usage",
      code: "TIME_INVALID",
      message: `not a time: ${JSON.stringify(at)}`,
      hint: "write it as 2026-01-02 (the end of that day, local time) or 2026-01-02T03:04:05Z",
    });
  }
  const sources = await activeSources(app, signal);
  try {
    return named(app, snapshotAt(backupPlaces(app).backupRoot, atMs, sources));
  } catch (thrown) {
    throw explainUnknown(app, thrown);
  }
}

const listed = (items: RestoreReport["failed"]) =>
  items.map(({ path, reason }) => ({ ...jsonPath(path), reason }));

function toDocument(report: RestoreReport): Record<string, unknown> {
  return {
    snapshot: report.snapshot,
    to: report.to,
    files: report.files,
    bytes: report.bytes,
    written_files: report.writtenFiles,
    written_bytes: report.writtenBytes,
    unchanged: report.unchanged,
    failed: listed(report.failed),
    skipped: listed(report.skipped),
    duration_s: report.durationMs / 1000,
    remarks: report.remarks,
  };
}

function formatReport(report: RestoreReport, style: Style): string {
  const took = formatDuration(report.durationMs);
  const to = printable(report.to);
  const { writtenFiles, writtenBytes, snapshot } = report;
  const rest = report.files - writtenFiles;
  const lines = [
    writtenFiles === 0 && rest > 0
      ? `nothing to restore: ${counted(rest, "file")} in ${to}, ${formatBytes(report.bytes)}, ${rest === 1 ? "has" : "have"} the content of ${snapshot}: left with modes, owners and times (${took})`
      : `restored ${counted(writtenFiles, "file")}, ${formatBytes(writtenBytes)}, of ${snapshot} to ${to} in ${took}`,
  ];
  if (writtenFiles > 0 && rest > 0) {
    lines.push(
      `  ${counted(rest, "file", "files")} had the content of the snapshot: left with modes, owners and times`,
    );
  }
  for (const { path, reason } of report.failed) {
    lines.push(`  ${style.paint("critical", "lost")} ${shownPath(path)}: ${printable(reason)}`);
  }
  for (const { path, reason } of report.skipped)
    lines.push(`  left out (${reason}): ${shownPath(path)}`);
  return lines.join("\n");
}
