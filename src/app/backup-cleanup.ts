// Retention from the app: the facts, the plan, and its execution with its record.

import { applyRetention, reservePath, type CleanupReport } from "../backup/cleanup.ts";
import { isPartialHeld } from "../backup/create/partial.ts";
import { listSnapshots, ownSnapshots, readable } from "../backup/repository.ts";
import { planRetention, type RetentionPlan, type RetentionRules } from "../backup/retention.ts";
import { CitadelError, canonicalJson, counted } from "../core/index.ts";
import { assertMayWrite } from "../system/index.ts";
import { isLockHeldByAny } from "../system/lock-look.ts";
import { keepReserve } from "../system/reserve-file.ts";
import { sha256Hex } from "../system/digest.ts";
import type { App } from "./app.ts";
import { readKnowledge } from "./backup-knowledge.ts";
import { assertBackupMounted, unmountedWarning } from "./backup-mounts.ts";
import { backupPlaces, recordJob, tryCatalog } from "./backup-repository.ts";

export interface CleanupPlan extends RetentionPlan {
  /** What could not be read and may have kept a snapshot. */
  readonly warnings: readonly string[];
}

/**
 * What would go and stay now.
 * @throws kind `permission`: of a snapshot that cannot be read nobody knows whether something keeps it
 */
export function planCleanup(app: App, rules: RetentionRules): CleanupPlan {
  const places = backupPlaces(app);
  const known = readKnowledge(places);
  const snapshots = ownSnapshots(known.snapshots);
  snapshots.forEach(readable);
  const inUse = snapshots.filter(({ id }) => isLockHeldByAny(places.runtimeDir, `snapshot-${id}`));
  const building = snapshots.filter(
    ({ state, directory }) => state === "partial" && isPartialHeld(directory),
  );
  const plan = planRetention(snapshots, rules, {
    nowMs: app.system.clock.nowMs(),
    verifiedAtMs: new Map([...known.verified].map(([id, { atMs }]) => [id, atMs])),
    locked: new Set(inUse.map(({ id }) => id)),
    building: new Set(building.map(({ id }) => id)),
  });
  const unmounted = unmountedWarning(app);
  const warnings = unmounted === undefined ? known.warnings : [unmounted, ...known.warnings];
  return { ...plan, warnings };
}

/** The hash of a plan, for --plan-hash. */
export function cleanupHash(plan: RetentionPlan): string {
  return sha256Hex(canonicalJson({ remove: plan.remove.map(({ directory }) => directory) }));
}

/**
 * Carries the plan out.
 * @throws kind `conflict`: objections without `force`; kinds `permission`, `read-only`
 */
export async function runCleanup(
  app: App,
  plan: RetentionPlan,
  force: boolean,
  signal: AbortSignal,
): Promise<CleanupReport> {
  const [objection] = plan.objections;
  if (objection !== undefined && !force) {
    throw new CitadelError({
      kind: "conflict",
      code: objection.code,
      message: objection.message,
      hint: "see the plan with --dry-run; if it is right, add --force",
    });
  }
  const places = backupPlaces(app);
  if (plan.remove.length > 0) assertMayWrite(places.backupRoot, "remove");
  return recordJob(
    app,
    { kind: "cleanup", destination: places.backupRoot },
    async () => {
      assertBackupMounted(app);
      const report = applyRetention(plan, { ...places, signal });
      forgetOldContent(app);
      keepReserve(reservePath(places.backupRoot), app.settings.backup.reserve_bytes);
      return report;
    },
    ({ removed, freedBytes, failed }) => ({
      files: removed.length,
      bytes: freedBytes,
      failure:
        failed.length === 0
          ? undefined
          : { code: "CLEANUP_INCOMPLETE", message: `${counted(failed.length, "snapshot")} stayed` },
    }),
  );
}

/** Content that was not read for so many turns of rolling verification is of removed snapshots, or as good as never read. */
const turnsRemembered = 10;

/** Keeps the catalogue from growing with every file that ever was. It is a record: that it cannot be written stops nothing. */
function forgetOldContent(app: App): void {
  const { clock } = app.system;
  const turnMs = app.settings.backup.verify_every_days * 86_400_000;
  const places = backupPlaces(app);
  const { catalog } = tryCatalog(places);
  try {
    const existing = new Set(listSnapshots(places.backupRoot).map(({ id }) => id));
    catalog?.pruneContent(clock.nowMs() - turnsRemembered * turnMs, existing);
  } catch (thrown) {
    if (!(thrown instanceof CitadelError)) throw thrown;
  } finally {
    catalog?.[Symbol.dispose]();
  }
}
