// What each part of the tuning planner gives: rows for a person, steps for the engine, and what could not be done.

import type { AbsolutePath } from "../core/index.ts";
import type { Conflict, Operation } from "../transaction/index.ts";
import type { StorageRole } from "./mount-options.ts";

/**
 * - `ok`: as wanted; `change`: this plan changes it
 * - `pending`: set, but in force only from the next mount on
 * - `on_the_host`: only the booted host can do it (below `--root`)
 * - `cannot`: wanted, and this process cannot do it here; `not_applicable`: nothing to do for this disk or type
 */
export type TuneState = "ok" | "change" | "pending" | "on_the_host" | "cannot" | "not_applicable";

export type TuneItemName =
  "fstab" | "mount options" | "data mode" | "scheduler" | "udev rule" | "trim timer";

/** One row of the table: what is, what will be, and why. */
export interface TuneItem {
  readonly role: StorageRole | "host";
  readonly item: TuneItemName;
  /** What it is about: a mount point, a disk, a unit. */
  readonly subject: string;
  readonly found: string;
  readonly wanted: string;
  readonly state: TuneState;
  readonly why: string;
}

export interface PlanPart {
  readonly items: readonly TuneItem[];
  readonly operations: readonly Operation[];
  readonly conflicts: readonly Conflict[];
  readonly onTheHost: readonly string[];
  /** Risks the profile takes: asked about before `tune apply` goes on. */
  readonly risks: readonly string[];
  /** What a person may want to add by hand; never done by itself. */
  readonly proposals: readonly string[];
  readonly notes: readonly string[];
}

export const emptyPart: PlanPart = {
  items: [],
  operations: [],
  conflicts: [],
  onTheHost: [],
  risks: [],
  proposals: [],
  notes: [],
};

/** Joins parts in order; lines that say the same appear once. */
export function joinParts(parts: readonly PlanPart[]): PlanPart {
  const lines = (pick: (part: PlanPart) => readonly string[]) => [...new Set(parts.flatMap(pick))];
  return {
    items: parts.flatMap((part) => part.items),
    operations: parts.flatMap((part) => part.operations),
    conflicts: parts.flatMap((part) => part.conflicts),
    onTheHost: lines((part) => part.onTheHost),
    risks: lines((part) => part.risks),
    proposals: lines((part) => part.proposals),
    notes: lines((part) => part.notes),
  };
}

/** What planners need to know about paths. */
export interface PathContext {
  readonly real: (hostPath: string) => AbsolutePath;
  /** Host paths of the directories above a host path that are not there, outermost first. */
  readonly missingAbove: (hostPath: string) => readonly string[];
}

/** The steps that make the directories above a file of ours. */
export function makeDirectorySteps(path: string, context: PathContext): Operation[] {
  return context.missingAbove(path).map((directory) => ({
    op: "make_dir",
    path: context.real(directory),
    why: `for ${path}`,
    before: { type: "absent" },
    after: { type: "directory", mode: 0o755 },
  }));
}
