// The hash of a plan: what a person confirmed, or gave with --plan-hash, against what would be done now.

import { canonicalJson } from "../core/index.ts";
import { sha256Hex } from "../system/index.ts";
import type { Plan } from "./operation.ts";

/**
 * Hashes what the plan would do: steps, conflicts and annotations, not reasons, counts or warnings.
 * @returns 64 lower-case hex digits, the same for the same plan in every run
 */
export function planHash(plan: Plan): string {
  const operations = plan.operations.map(({ why: _why, ...operation }) => operation);
  const conflicts = plan.conflicts.map(({ path, code }) => ({ path, code }));
  return sha256Hex(canonicalJson({ operations, conflicts, annotations: plan.annotations ?? {} }));
}
