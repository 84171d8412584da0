// What `backup restore --dry-run` shows.

import { jsonPath } from "../../backup/format/byte-path.ts";
import type { FoundSnapshot } from "../../backup/repository.ts";
import type { RestorePreview } from "../../backup/restore/preview.ts";
import { ExitCode, formatBytes } from "../../core/index.ts";
import { printable, type Output } from "../../output/index.ts";
import { formatConflicts } from "./create-plan.ts";

export function showRestorePlan(
  out: Output,
  snapshot: FoundSnapshot,
  to: string,
  preview: RestorePreview,
): ExitCode {
  const { create, replace, unchanged, bytes, differing, conflicts, planHash } = preview;
  const step = (op: string, count: number, why: string) =>
    count === 0 ? [] : [{ op, path: to, from: snapshot.directory, to, why: `${count} ${why}` }];
  const fields = {
    snapshot: snapshot.id,
    to,
    create,
    replace,
    unchanged,
    bytes,
    differing: differing.map((path) => jsonPath(path).path),
    steps: [...step("create", create, "new"), ...step("replace", replace, "that differ")],
    conflicts,
    plan_hash: planHash,
  };
  out.result("backup-restore-plan", fields, () =>
    [
      `would restore ${snapshot.id} to ${printable(to)}: ${create} new, ${replace} replaced, ${unchanged} as they are, ${formatBytes(bytes)} to write`,
      ...formatConflicts(conflicts, out.style),
      `plan ${planHash}. Nothing was changed.`,
    ].join("\n"),
  );
  return ExitCode.success;
}
