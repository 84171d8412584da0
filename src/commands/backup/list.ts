// `backup list`: the snapshots on disk; works from the backup disk alone.

import { isBackupUnmounted, unmountedWarning } from "../../app/backup-mounts.ts";
import { readKnowledge, type Knowledge } from "../../app/backup-knowledge.ts";
import { backupPlaces, realSource } from "../../app/backup-repository.ts";
import { slugOf } from "../../backup/format/ids.ts";
import type { FoundSnapshot } from "../../backup/repository.ts";
import { ExitCode, counted, formatBytes, formatRelative, formatTime } from "../../core/index.ts";
import { formatWideTable, printable, type Style } from "../../output/index.ts";
import { defineAgentCommand } from "../define.ts";

export const command = defineAgentCommand({
  description: "the snapshots on the backup disk, with when each was last verified",
  access: "read",
  args: {
    source: { type: "string", valueHint: "PATH", description: "only those of this source" },
  },
  examples: ["citadel-agent backup list", "citadel-agent backup list --json | jq '.snapshots[-1]'"],
  async run({ app, args, out }) {
    const unmounted = unmountedWarning(app);
    if (unmounted !== undefined) out.warn(unmounted);
    const known = readKnowledge(backupPlaces(app));
    for (const warning of known.warnings) out.warn(warning);
    const { verified, catalogue } = known;
    const wanted =
      args.source === undefined ? undefined : [app.system.hostPaths.real(args.source), args.source];
    const found = known.snapshots.filter((each) => wanted === undefined || isOf(each, wanted));
    const snapshots = found.map((snapshot) => {
      const proof = verified.get(snapshot.id);
      const { record } = snapshot;
      return {
        id: snapshot.id,
        source: realSource(app, snapshot) ?? null,
        area: snapshot.area,
        type: record?.type ?? (snapshot.id.includes("-incr-") ? "incremental" : "full"),
        tags: record?.tags ?? [],
        state: snapshot.state,
        started: record?.started ?? formatTime(snapshot.startedMs),
        finished: record?.finished ?? null,
        files: record?.counts.files ?? null,
        bytes: record?.counts.bytes ?? null,
        new_bytes: record?.counts.new_bytes ?? null,
        skipped: record?.counts.skipped ?? null,
        parent: record?.parent ?? null,
        verified_at: proof === undefined ? null : formatTime(proof.atMs),
        verified_mode: proof?.mode ?? null,
        path: snapshot.directory,
        why: snapshot.why ?? null,
      };
    });
    const nowMs = app.system.clock.nowMs();
    out.result("backup-list", { snapshots, catalogue }, () =>
      found.length === 0
        ? formatNone(args.source, known.snapshots.length, isBackupUnmounted(app))
        : formatList(found, known, nowMs, out.style),
    );
    return ExitCode.success;
  },
});

/** Of one source; what has no record that could be read goes by the short name in its id, damaged or not. */
function isOf({ record, slug }: FoundSnapshot, sources: readonly string[]): boolean {
  if (record !== undefined) return sources.includes(record.source);
  return sources.some((source) => slugOf(source) === slug);
}

function formatNone(source: string | undefined, others: number, isUnseen: boolean): string {
  if (isUnseen && others === 0) return "no snapshots are seen";
  if (source === undefined || others === 0) {
    return "no snapshots yet; make one: citadel-agent backup create";
  }
  return `no snapshot of ${printable(source)}; ${counted(others, "snapshot")} of other sources: citadel-agent backup list`;
}

const tones = {
  complete: "ok",
  partial: "warning",
  damaged: "critical",
  unknown: "warning",
} as const;

/** A complete snapshot may lack what the run could not read: that is said where it is called complete. */
function formatState({ state, record }: FoundSnapshot, style: Style): string {
  const skipped = record?.counts.skipped ?? 0;
  if (state !== "complete" || skipped === 0) return style.paint(tones[state], state);
  return style.paint("warning", `${state}, ${skipped} skipped`);
}

function formatList(
  snapshots: readonly FoundSnapshot[],
  { verified, catalogue }: Knowledge,
  nowMs: number,
  style: Style,
): string {
  const unproved = catalogue === "ok" ? "never" : "unknown";
  const rows = snapshots.map((snapshot) => {
    const { id, startedMs, record, state } = snapshot;
    // what was proved before the damage was found is no comfort beside it; the document says when that was
    const proof = state === "damaged" ? undefined : verified.get(id);
    return [
      id,
      formatState(snapshot, style),
      formatRelative(startedMs, nowMs),
      record === undefined ? "-" : String(record.counts.files),
      record === undefined ? "-" : formatBytes(record.counts.bytes),
      record === undefined ? "-" : formatBytes(record.counts.new_bytes),
      proof === undefined
        ? state === "damaged"
          ? "-"
          : unproved
        : `${formatRelative(proof.atMs, nowMs)} (${proof.mode})`,
      printable(record?.tags.join(",") ?? ""),
    ];
  });
  const header = ["SNAPSHOT", "STATE", "AGE", "FILES", "SIZE", "NEW", "VERIFIED", "TAGS"];
  const align = ["left", "left", "right", "right", "right", "right", "left", "left"] as const;
  const table = formatWideTable(rows, { header, align, main: 0 }, style);
  const damaged = snapshots.filter(({ state }) => state === "damaged");
  const reasons = damaged.map(
    ({ id, why }) =>
      `${style.paint("critical", "damaged")} ${id}: ${printable(why ?? "see verify")}`,
  );
  return [table, ...reasons].join("\n");
}
