// What the source holds, counted before anything is copied: for the progress, the room it needs and the comparison with
// the parent. Where there is a parent, most files will only be linked: then the walk that builds the snapshot counts
// too, and only what has to be copied waits for the judgement.

import type { System } from "../../system/index.ts";
import { trimGrownMemory } from "../../system/memory.ts";
import { walkTree, type WalkedEntry } from "../../system/tree-walk.ts";
import type { CreateOptions } from "./options.ts";
import { regularType, sourceRoot, typeMask } from "./source.ts";

/** What a walk of the source found. */
export interface Survey {
  readonly entries: number;
  readonly files: number;
  /** Hard-linked files once. */
  readonly bytes: number;
  /** What they take on the disk: less than `bytes` where there are holes. */
  readonly storedBytes: number;
}

/** Counts the entries of one walk. */
class Count {
  readonly survey = { entries: 0, files: 0, bytes: 0, storedBytes: 0 };
  readonly #seen = new Set<string>();

  add({ stat, failure }: WalkedEntry): void {
    const { survey } = this;
    survey.entries += 1;
    if (failure !== undefined || (stat.mode & typeMask) !== regularType) return;
    survey.files += 1;
    if (stat.linkCount > 1 && !isFirstName(this.#seen, stat)) return;
    survey.bytes += stat.sizeBytes;
    survey.storedBytes += Math.min(stat.storedBytes, stat.sizeBytes + 4096);
  }
}

/** Counts what there is. */
export async function surveySource(
  options: Pick<CreateOptions, "sourcePath" | "sourceBytes" | "crossFileSystems">,
  system: Pick<System, "clock">,
  signal: AbortSignal,
  onEntries: (count: number) => void = () => {},
): Promise<Survey> {
  const count = new Count();
  for (const walked of walkTree(sourceRoot(options), options)) {
    count.add(walked);
    if (count.survey.entries % 4096 !== 0) continue;
    trimGrownMemory();
    await system.clock.sleep(0);
    signal.throwIfAborted();
    onEntries(count.survey.entries);
  }
  return count.survey;
}

const maxSeen = 500_000;

/** Whether an inode with several names is met for the first time. */
export function isFirstName(seen: Set<string>, found: { dev: number; ino: bigint }): boolean {
  const key = `${found.dev}:${found.ino}`;
  if (seen.has(key)) return false;
  if (seen.size < maxSeen) seen.add(key);
  return true;
}

/** Stands before the first copy: nothing passes until the source has been judged as a whole. */
export class SurveyGate {
  readonly #count = new Count();
  readonly #look: (onEntries: (count: number) => void) => Promise<Survey>;
  readonly #judge: (survey: Survey) => void;
  #survey: Survey | undefined;
  #ahead = 0;
  /** The judgement was against it: what was linked meanwhile has to go again. */
  isRefused = false;

  /**
   * @param look walks the whole source and counts
   * @param judge throws what refuses the backup: too little room, or a source that shrank
   */
  constructor(
    look: (onEntries: (count: number) => void) => Promise<Survey>,
    judge: (survey: Survey) => void,
  ) {
    this.#look = look;
    this.#judge = judge;
  }

  get isOpen(): boolean {
    return this.#survey !== undefined;
  }

  /** What is known so far: all of it when the gate is open. */
  get survey(): Survey {
    return this.#survey ?? this.#count.survey;
  }

  /** How many entries were looked at, while the gate is shut; a look ahead begins anew, this does not. */
  get looked(): number {
    return Math.max(this.#count.survey.entries, this.#ahead);
  }

  /** Sees what the walk comes by. */
  pass(walked: WalkedEntry): void {
    if (this.#survey === undefined) this.#count.add(walked);
  }

  /** Looks at everything now, as much waits to be copied. @throws what the judgement throws */
  async lookAhead(): Promise<void> {
    if (this.#survey !== undefined) return;
    this.#open(await this.#look((count) => (this.#ahead = count)));
  }

  /** The walk has passed everything. @throws what the judgement throws */
  endOfWalk(): void {
    if (this.#survey === undefined) this.#open(this.#count.survey);
  }

  #open(survey: Survey): void {
    this.isRefused = true;
    this.#judge(survey);
    this.isRefused = false;
    this.#survey = survey;
  }
}
