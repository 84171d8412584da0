// The hash of a plan: what a person confirmed, or gave with --plan-hash, against what would be done now.

import { canonicalJson } from "../core/index.ts";
import { sha256Hex } from "../system/index.ts";
import type { Operation, PathState, Plan } from "./operation.ts";

/** Plans are made once and never changed: the command and the engine ask for the same hash. */
const known = new WeakMap<Plan, string>();

/**
 * Hashes what the plan would do: steps, conflicts and annotations, not reasons, counts or warnings.
 * @returns 64 lower-case hex digits, the same for the same plan in every run
 */
export function planHash(plan: Plan): string {
  const before = known.get(plan);
  if (before !== undefined) return before;
  const annotations = canonicalJson(plan.annotations ?? {});
  const conflicts = canonicalJson(plan.conflicts.map(({ path, code }) => ({ path, code })));
  const operations = plan.operations.map(operationJson).join(",");
  const hash = sha256Hex(
    `{"annotations":${annotations},"conflicts":${conflicts},"operations":[${operations}]}`,
  );
  known.set(plan, hash);
  return hash;
}

type Complete<All extends string, Listed extends All> = [Exclude<All, Listed>] extends [never]
  ? readonly Listed[]
  : never;
type KeysOf<T> = T extends unknown ? keyof T & string : never;

/** The members of an operation but `why`, sorted as canonical JSON has them. */
const operationKeys = [
  "after",
  "backupName",
  "before",
  "command",
  "content",
  "contentEncoding",
  "op",
  "path",
  "to",
  "verifyCommand",
] as const;
const stateKeys = ["gid", "mode", "sha256", "target", "type", "uid", "value", "what"] as const;
// a member that somebody adds and does not list here fails to compile
operationKeys satisfies Complete<Exclude<keyof Operation, "why">, (typeof operationKeys)[number]>;
stateKeys satisfies Complete<KeysOf<PathState>, (typeof stateKeys)[number]>;

/** `canonicalJson` of an operation without its reason, for ten thousand of them: nothing is sorted or copied. */
function operationJson(operation: Operation): string {
  let json = "{";
  for (const key of operationKeys) {
    const member = operation[key];
    if (member === undefined) continue;
    const text =
      typeof member === "string"
        ? JSON.stringify(member)
        : key === "after" || key === "before"
          ? stateJson(member as PathState)
          : canonicalJson(member);
    json += json.length === 1 ? `"${key}":${text}` : `,"${key}":${text}`;
  }
  return `${json}}`;
}

function stateJson(state: PathState): string {
  const members = state as Readonly<Record<string, string | number | undefined>>;
  let json = "{";
  for (const key of stateKeys) {
    const member = members[key];
    if (member === undefined) continue;
    const text = typeof member === "string" ? JSON.stringify(member) : String(member);
    json += json.length === 1 ? `"${key}":${text}` : `,"${key}":${text}`;
  }
  return `${json}}`;
}
