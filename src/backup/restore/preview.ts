// What a restore would do and what would refuse it, from looking alone: the plan of `backup restore --dry-run`.

import { sha256Hex, assertMayWrite } from "../../system/index.ts";
import { freeBytesAt, targetState } from "../../system/restore-target.ts";
import { canonicalJson } from "../../core/index.ts";
import type { BytePath } from "../format/byte-path.ts";
import { collectConflict, collectConflictOf, type PlanConflict } from "../plan-conflict.ts";
import type { FoundSnapshot } from "../repository.ts";
import { type InPlaceOptions, planInPlace, wouldReplace } from "./in-place.ts";
import { assertSpace, countNeed, filterPaths } from "./plan.ts";
import {
  assertSoundMetadata,
  notEmpty,
  nothingMatches,
  openTarget,
  type RestoreContext,
} from "./restore.ts";
import { readManifest } from "../snapshot-reader.ts";

export interface RestorePreview {
  readonly create: number;
  readonly replace: number;
  readonly unchanged: number;
  /** To write. */
  readonly bytes: number;
  /** In place: up to 1,000 of those that differ. */
  readonly differing: readonly BytePath[];
  readonly conflicts: readonly PlanConflict[];
  readonly planHash: string;
}

/**
 * Looks at snapshot and target and changes nothing.
 * @throws kind `integrity`, code SNAPSHOT_DAMAGED: a manifest that cannot be trusted gives no plan; `cancelled`
 */
export async function previewRestore(
  snapshot: FoundSnapshot,
  options: InPlaceOptions,
  isInPlace: boolean,
  context: RestoreContext,
): Promise<RestorePreview> {
  assertSoundMetadata(snapshot);
  const conflicts: PlanConflict[] = [];
  const plan = isInPlace
    ? await previewInPlace(snapshot, options, context, conflicts)
    : previewWhole(snapshot, options, conflicts);
  const judged = {
    snapshot: snapshot.id,
    to: options.to,
    isInPlace,
    globs: options.globs,
    ...plan,
    conflicts: conflicts.map(({ code, path }) => ({ code, path })),
  };
  return { ...plan, conflicts, planHash: sha256Hex(canonicalJson(judged)) };
}

type Figures = Omit<RestorePreview, "conflicts" | "planHash">;

function previewWhole(
  snapshot: FoundSnapshot,
  { to, globs }: InPlaceOptions,
  conflicts: PlanConflict[],
): Figures {
  const need = countNeed(readManifest(snapshot.directory), filterPaths(globs));
  collectConflict(conflicts, () => {
    using where = openTarget(to);
    const { parent, place, target } = where;
    const state = targetState(place);
    collectConflict(conflicts, () => {
      if (state === "filled" || state === "other") throw notEmpty(target);
    });
    collectConflict(conflicts, () => assertMayWrite(parent.path, "restore into"));
    collectConflict(conflicts, () =>
      assertSpace(need.bytes, freeBytesAt(parent.through), parent.path),
    );
  });
  collectConflict(conflicts, () => {
    if (need.entries === 0 && globs.length > 0) throw nothingMatches(globs);
  });
  return { create: need.entries, replace: 0, unchanged: 0, bytes: need.bytes, differing: [] };
}

async function previewInPlace(
  snapshot: FoundSnapshot,
  options: InPlaceOptions,
  context: RestoreContext,
  conflicts: PlanConflict[],
): Promise<Figures> {
  const plan = await collectConflictOf(conflicts, planInPlace(snapshot, options, context));
  if (plan === undefined) return { create: 0, replace: 0, unchanged: 0, bytes: 0, differing: [] };
  const { create, replace, unchanged, neededBytes, differing } = plan;
  collectConflict(conflicts, () => {
    if (replace > 0 && !options.force) throw wouldReplace(options.to, plan);
  });
  collectConflict(conflicts, () => {
    if (create + replace > 0) assertMayWrite(options.to, "restore into");
  });
  collectConflict(conflicts, () => assertSpace(neededBytes, freeBytesAt(options.to), options.to));
  return { create, replace, unchanged, bytes: neededBytes, differing };
}
