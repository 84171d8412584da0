// What was said about each setting, by every source, before anybody judges it. The strongest saying wins.

import type { Origin, OriginKind, Problem, SettingsWarning } from "./origin.ts";
import type { KnownField } from "./schema.ts";

/** One saying: a value for a field from one place. */
export interface Candidate {
  readonly value: unknown;
  readonly origin: Origin;
  /** Of names of the same source: see `strengths`. */
  readonly strength: number;
  /** `value` names a file that holds the secret. */
  readonly isSecretFile?: boolean;
}

/** Later beats earlier; `derived` and `default` are what is left when nobody said anything. */
const ranks: Readonly<Record<OriginKind, number>> = {
  default: 0,
  derived: 0,
  script: 1,
  "config-file": 2,
  "env-file": 3,
  environment: 4,
  flag: 5,
};

export function rankOf(kind: OriginKind): number {
  return ranks[kind];
}

/** Gathers sayings, problems and warnings while the sources are read. */
export class Gathering {
  readonly #best = new Map<string, Candidate>();
  readonly problems: Problem[] = [];
  readonly warnings: SettingsWarning[] = [];
  /** Names that look like ours and were not known; judged when the aliases are known. */
  readonly unknown: { readonly name: string; readonly origin: Origin }[] = [];

  /** Keeps `candidate` unless a stronger one is there. Equals: the later line wins. */
  add(known: KnownField, candidate: Candidate): void {
    const present = this.#best.get(known.key);
    if (present === undefined || compare(candidate, present) >= 0) {
      this.#best.set(known.key, candidate);
    }
  }

  best(key: string): Candidate | undefined {
    return this.#best.get(key);
  }

  warn(message: string, options: Partial<Omit<SettingsWarning, "message">> = {}): void {
    const { verboseOnly = false, failsCheck = false } = options;
    this.warnings.push({ message, verboseOnly, failsCheck });
  }
}

function compare(a: Candidate, b: Candidate): number {
  return ranks[a.origin.kind] - ranks[b.origin.kind] || a.strength - b.strength;
}
