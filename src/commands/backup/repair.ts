// `backup repair ID`: finds damage, heals it from whoever holds the same content, says what it could not heal.

import {
  backupPlaces,
  findSnapshot,
  lockRepair,
  lockSnapshot,
  realSource,
  recordJob,
  verifyAndRecord,
} from "../../app/backup-repository.ts";
import type { App } from "../../app/app.ts";
import { fromText, jsonPath } from "../../backup/format/byte-path.ts";
import {
  repairSnapshot,
  type RepairFinding,
  type RepairReport,
} from "../../backup/repair/repair.ts";
import type { VerifyReport } from "../../backup/verify/report.ts";
import type { VerifyProgress } from "../../backup/verify/verify.ts";
import { sha256Hex } from "../../system/index.ts";
import { knownSnapshot } from "../../backup/catalog/catalog.ts";
import { listSnapshots, type FoundSnapshot } from "../../backup/repository.ts";
import { ExitCode, counted, formatBytes } from "../../core/index.ts";
import { printable } from "../../output/index.ts";
import { defineAgentCommand } from "../define.ts";
import { planChanged } from "./plan-changed.ts";
import { shownPath } from "./shown-path.ts";

/** A look at a lock takes a moment; whoever holds one for longer removes the snapshot. */
const sharerLockMs = 2000;

export const command = defineAgentCommand({
  description: "heals damaged files of a snapshot from its source or from other snapshots",
  access: "change",
  args: { snapshot: { type: "positional", description: "an id, a path, latest" } },
  examples: ["citadel-agent backup repair latest", "citadel-agent backup repair ID --dry-run"],
  details:
    "Every range is proved by its hash before it is written, and the whole file\nafterwards. A healed file is a new one; other snapshots that share the damaged\none get it too.",
  async run({ app, args, out, globals, signal }) {
    // the newest, sound or not: that an older one is well says nothing of it
    const { snapshot } = await findSnapshot(app, args.snapshot, signal, "newest");
    const places = backupPlaces(app);
    using _lock = await lockSnapshot(
      app,
      snapshot.id,
      "backup repair",
      globals.lockTimeoutMs,
      signal,
    );
    using _turn = await lockRepair(app, globals.lockTimeoutMs, signal);
    const run = { mode: "full", cached: false, sampleRate: 1, seed: 0, rotate: false } as const;
    const context = {
      signal,
      onProgress: (progress: VerifyProgress) =>
        out.progress({ activity: "verifying", ...progress }),
    };
    const found = await verifyAndRecord(app, snapshot, run, context);
    const hash = planHashOf(found);
    if (!globals.dryRun && globals.planHash !== undefined && globals.planHash !== hash) {
      throw planChanged();
    }
    const nothing = {
      snapshot: snapshot.id,
      healed: [],
      lost: [],
      shared: [],
      namesLeft: 0,
      bytesWritten: 0,
    };
    const others = listSnapshots(places.backupRoot)
      .filter(({ id, state }) => id !== snapshot.id && state === "complete")
      .reverse();
    // what was begun is ended, also when the run is cancelled: a healed file is shared with all or none
    const never = new AbortController().signal;
    const hold = (id: string) => lockSnapshot(app, id, "backup repair", sharerLockMs, never);
    const source = sourceOf(snapshot, app);
    const isDone = found.valid || globals.dryRun;
    const report: RepairReport = isDone
      ? nothing
      : await recordJob(
          app,
          {
            kind: "repair",
            source: realSource(app, snapshot),
            destination: snapshot.directory,
            about: knownSnapshot(snapshot),
          },
          () =>
            repairSnapshot(snapshot, found, {
              others,
              source,
              signal,
              hold,
              onProgress: ({ current, ...progress }) =>
                out.progress({ activity: "healing", ...progress, current: jsonPath(current).path }),
            }),
          ({ healed, lost, bytesWritten }) => ({
            files: healed.length,
            newBytes: bytesWritten,
            failure:
              lost.length === 0
                ? undefined
                : {
                    code: "REPAIR_INCOMPLETE",
                    message: `${counted(lost.length, "path")} could not be healed`,
                  },
          }),
        );
    const after = isDone ? found : await verifyAndRecord(app, snapshot, run, context);
    const list = (items: readonly RepairFinding[]) =>
      items.map(({ path, reason }) => ({ ...jsonPath(path), reason }));
    const fields = {
      snapshot: snapshot.id,
      damaged: found.filesFailed,
      healed: list(report.healed),
      lost: list(report.lost),
      shared: report.shared.map(({ snapshot: id, path, failure }) => ({
        snapshot: id,
        ...jsonPath(path),
        healed: failure === undefined,
        reason: failure ?? null,
      })),
      names_left: report.namesLeft,
      bytes_written: report.bytesWritten,
      valid: after.valid,
      applied: !isDone,
      plan_hash: hash,
    };
    const { paint } = out.style;
    out.result("backup-repair", fields, () =>
      [
        found.valid
          ? `${snapshot.id}: nothing to heal`
          : `${snapshot.id}: ${counted(found.filesFailed, "path is", "paths are")} damaged`,
        ...(globals.dryRun
          ? found.failures.map(({ path, reason }) => `  ${shownPath(path)}: ${printable(reason)}`)
          : []),
        ...(globals.dryRun ? [`plan ${hash}. Nothing was changed.`] : []),
        ...report.healed.map(
          ({ path, reason }) =>
            `  ${paint("ok", "healed")} ${shownPath(path)} (from ${printable(reason)})`,
        ),
        ...sharedLines(report),
        ...(report.namesLeft === 0
          ? []
          : [
              `  ${counted(report.namesLeft, "name")} of what was damaged ${report.namesLeft === 1 ? "lies" : "lie"} elsewhere in the repository, damaged still: \`citadel-agent backup verify --all\``,
            ]),
        ...report.lost.map(({ path, reason, isExtra = false }) => {
          const word = isExtra ? paint("warning", "left") : paint("critical", "lost");
          return `  ${word} ${shownPath(path)}: ${printable(reason)}`;
        }),
        ...(isDone
          ? []
          : [
              `${after.valid ? "valid again" : "still NOT VALID"}, ${formatBytes(report.bytesWritten)} written`,
            ]),
      ].join("\n"),
    );
    const isHealed = after.valid && report.namesLeft === 0;
    return isHealed || globals.dryRun ? ExitCode.success : ExitCode.findings;
  },
});

/** Two plans with one hash heal the same: what is damaged, and how. */
function planHashOf({ snapshot, failures }: VerifyReport): string {
  const wrong = failures.map(({ path, reason, ranges }) => ({ ...jsonPath(path), reason, ranges }));
  return sha256Hex(JSON.stringify({ snapshot, wrong }));
}

/** Where the source lies here, one character per byte. */
function sourceOf({ record }: FoundSnapshot, { system: { hostPaths } }: App): string | undefined {
  if (record?.source_b64 === undefined) return record && fromText(hostPaths.real(record.source));
  const root = hostPaths.relocated ? fromText(hostPaths.root) : "";
  return root + Buffer.from(record.source_b64, "base64").toString("latin1");
}

/** One line for each snapshot that was mended with this one, and for each name that was not. */
function sharedLines({ shared }: RepairReport): string[] {
  const counts = new Map<string, number>();
  for (const { snapshot, failure } of shared) {
    if (failure === undefined) counts.set(snapshot, (counts.get(snapshot) ?? 0) + 1);
  }
  return [
    ...[...counts].map(
      ([id, count]) => `  ${id}: ${counted(count, "path")} shared with it, healed too`,
    ),
    ...shared.flatMap(({ snapshot, path, failure }) =>
      failure === undefined
        ? []
        : [
            `  ${snapshot}: ${shownPath(path)} shared with it, still damaged: ${printable(failure)}`,
          ],
    ),
    ...(counts.size === 0
      ? []
      : ["  prove those too (damaged in `list` until then): citadel-agent backup verify --all"]),
  ];
}
