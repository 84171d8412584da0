// What is known of the snapshots beside what lies on the disk: verifications, jobs, coverage, from the catalogue. A
// catalogue that is damaged or shut stops nobody who looks, but that nothing is known is said, and never is "never".

import type { JobRow, VerificationRow } from "../backup/catalog/schema.ts";
import { readCatalog, type Catalog } from "../backup/catalog/catalog.ts";
import { type KnownDamage, noKnownDamage } from "../backup/catalog/known-damage.ts";
import { listSnapshots, type FoundSnapshot } from "../backup/repository.ts";
import { withKnownDamage } from "../backup/status.ts";
import { CitadelError, counted } from "../core/index.ts";
import type { BackupPlaces } from "./backup-repository.ts";

export interface Knowledge {
  /** Oldest first; those that a verification found damaged are `damaged`. */
  readonly snapshots: readonly FoundSnapshot[];
  /** When each was last verified whole, by id. */
  readonly verified: ReadonlyMap<string, { readonly atMs: number; readonly mode: string }>;
  readonly jobs: readonly JobRow[];
  /** The last figures of rolling verification, as text. */
  readonly coverage: string | undefined;
  /** `ok`, or why nothing is known of verifications and jobs. */
  readonly catalogue: string;
  /** What could not be read, for the person who asks. */
  readonly warnings: readonly string[];
}

interface CatalogFacts extends Pick<Knowledge, "verified" | "jobs" | "coverage"> {
  readonly damage: ReadonlyMap<string, VerificationRow>;
}

const nothing: CatalogFacts = {
  verified: new Map(),
  damage: new Map(),
  jobs: [],
  coverage: undefined,
};

/** Reads both. @param maxJobs how many of the newest jobs @throws kinds of fromErrno: a repository that cannot be listed */
export function readKnowledge(places: BackupPlaces, maxJobs = 0): Knowledge {
  const found = listSnapshots(places.backupRoot);
  const { facts = nothing, catalogue, warning } = readFacts(places, maxJobs);
  const { damage, ...known } = facts;
  const shut = found.filter(({ state }) => state === "unknown");
  const warnings = warning === undefined ? [] : [warning];
  if (shut.length > 0) {
    warnings.push(
      `${counted(shut.length, "snapshot")} cannot be read (${shut[0]?.why}); snapshots are root's alone: run the command as root`,
    );
  }
  return { ...known, snapshots: withKnownDamage(found, damage), catalogue, warnings };
}

/** What verifications found damaged and no later one proved whole, by id; empty where nobody can say. */
export function damageFound(places: BackupPlaces): ReadonlyMap<string, VerificationRow> {
  return readFacts(places, 0).facts?.damage ?? new Map();
}

/** Which files were found damaged. @returns with why it is not all known, where there is a catalogue that cannot be read */
export function readKnownDamage(places: BackupPlaces): {
  readonly damage: KnownDamage;
  readonly warnings: string[];
} {
  const { catalog, why, isMissing } = readCatalog(places);
  using opened = catalog;
  let problem = isMissing === true ? undefined : why;
  try {
    if (opened !== undefined) return { damage: opened.damage.read(), warnings: [] };
  } catch (thrown) {
    if (!(thrown instanceof CitadelError)) throw thrown;
    problem = thrown.message;
  }
  const warnings = problem === undefined ? [] : [notAllKnown(problem)];
  return { damage: noKnownDamage, warnings };
}

function readFacts(
  places: BackupPlaces,
  maxJobs: number,
): { facts?: CatalogFacts; catalogue: string; warning?: string } {
  const { catalog, why, isMissing } = readCatalog(places);
  using opened = catalog;
  if (opened === undefined) return unreadable(why ?? "it cannot be read", isMissing === true);
  const { facts, problem } = collect(opened, maxJobs);
  return { facts, ...(problem === undefined ? { catalogue: "ok" } : unreadable(problem, false)) };
}

/** Where there is none, nothing was lost: that is said beside, and warns nobody. */
function unreadable(why: string, isMissing: boolean): { catalogue: string; warning?: string } {
  return isMissing ? { catalogue: why } : { catalogue: why, warning: notAllKnown(why) };
}

const notAllKnown = (why: string) => `what was done and verified is not all known: ${why}`;

/** Each by itself: a damaged list of jobs must not hide which snapshots are damaged. */
function collect(catalog: Catalog, maxJobs: number): { facts: CatalogFacts; problem?: string } {
  const problems: string[] = [];
  const attempt = <T>(read: () => T, otherwise: T): T => {
    try {
      return read();
    } catch (thrown) {
      if (!(thrown instanceof CitadelError)) throw thrown;
      problems.push(thrown.message);
      return otherwise;
    }
  };
  const facts = {
    verified: attempt(() => catalog.verifiedSnapshots(), nothing.verified),
    damage: attempt(() => catalog.knownDamage(), nothing.damage),
    jobs: maxJobs === 0 ? [] : attempt(() => catalog.jobs(maxJobs), nothing.jobs),
    coverage: attempt(() => catalog.fact("coverage"), undefined),
  };
  return problems[0] === undefined ? { facts } : { facts, problem: problems[0] };
}
