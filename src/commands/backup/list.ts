// `backup list`: the snapshots on disk; works from the backup disk alone.

import { unmountedWarning } from "../../app/backup-create.ts";
import { backupPlaces, lookIntoCatalog } from "../../app/backup-repository.ts";
import { listSnapshots, type FoundSnapshot } from "../../backup/repository.ts";
import { ExitCode, formatBytes, formatRelative, formatTime } from "../../core/index.ts";
import { printable, type Style } from "../../output/index.ts";
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
    const places = backupPlaces(app);
    const { catalog } = lookIntoCatalog(places);
    using opened = catalog;
    const verified =
      opened?.verifiedSnapshots() ?? new Map<string, { atMs: number; mode: string }>();
    const wanted = args.source === undefined ? undefined : app.system.hostPaths.real(args.source);
    const found = listSnapshots(places.backupRoot).filter(
      ({ record }) =>
        wanted === undefined || record?.source === wanted || record?.source === args.source,
    );
    const snapshots = found.map((snapshot) => {
      const proof = verified.get(snapshot.id);
      const { record } = snapshot;
      return {
        id: snapshot.id,
        source: record?.source ?? null,
        area: snapshot.area,
        type: record?.type ?? (snapshot.id.includes("-incr-") ? "incremental" : "full"),
        tags: record?.tags ?? [],
        state: snapshot.state,
        started: record?.started ?? formatTime(snapshot.startedMs),
        finished: record?.finished ?? null,
        files: record?.counts.files ?? null,
        bytes: record?.counts.bytes ?? null,
        new_bytes: record?.counts.new_bytes ?? null,
        parent: record?.parent ?? null,
        verified_at: proof === undefined ? null : formatTime(proof.atMs),
        verified_mode: proof?.mode ?? null,
        path: snapshot.directory,
        why: snapshot.why ?? null,
      };
    });
    const nowMs = app.system.clock.nowMs();
    out.result("backup-list", { snapshots }, () => formatList(found, verified, nowMs, out.style));
    return ExitCode.success;
  },
});

const tones = { complete: "ok", partial: "warning", damaged: "critical" } as const;

function formatList(
  snapshots: readonly FoundSnapshot[],
  verified: ReadonlyMap<string, { atMs: number; mode: string }>,
  nowMs: number,
  style: Style,
): string {
  if (snapshots.length === 0) {
    return "no snapshots yet; make one: citadel-agent backup create";
  }
  const rows = snapshots.map(({ id, state, startedMs, record }) => {
    const proof = verified.get(id);
    return [
      id,
      style.paint(tones[state], state),
      formatRelative(startedMs, nowMs),
      record === undefined ? "-" : String(record.counts.files),
      record === undefined ? "-" : formatBytes(record.counts.bytes),
      record === undefined ? "-" : formatBytes(record.counts.new_bytes),
      proof === undefined ? "never" : `${formatRelative(proof.atMs, nowMs)} (${proof.mode})`,
      printable(record?.tags.join(",") ?? ""),
    ];
  });
  return style.table(rows, {
    header: ["SNAPSHOT", "STATE", "AGE", "FILES", "SIZE", "NEW", "VERIFIED", "TAGS"],
    align: ["left", "left", "right", "right", "right", "right", "left", "left"],
  });
}
