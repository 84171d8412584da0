// Gathers the unchanged files that follow one another into runs, has their links made, and puts them into the manifest
// in their turn. A file that could not be linked goes the long way.

import type { LinkJob } from "../copy/link-job.ts";
import { type LinkRun, type LinkRuns, maxRunFiles } from "./link-runs.ts";
import type { OrderedOutput, Slot } from "./ordered-output.ts";
import type { UnchangedFile } from "./unchanged.ts";

/** A run whose links are being made. */
interface StartedRun {
  readonly slot: Slot;
  readonly files: readonly UnchangedFile[];
}

export interface UnchangedRunsHooks {
  /** Sees each run when its links are made. @param failed how many of them were not */
  readonly onLinked: (files: readonly UnchangedFile[], failed: number) => void;
  /** The long way of a file that could not be linked: its entries. */
  readonly takeUnlinked: (file: UnchangedFile) => readonly Slot[];
}

export class UnchangedRuns implements Disposable {
  readonly #links: LinkRuns;
  readonly #output: OrderedOutput;
  readonly #hooks: UnchangedRunsHooks;
  readonly #started = new Map<LinkJob, StartedRun>();
  /** The run that the walk is in. */
  #run: (LinkRun & StartedRun & { readonly files: UnchangedFile[] }) | undefined;

  constructor(links: LinkRuns, output: OrderedOutput, hooks: UnchangedRunsHooks) {
    this.#links = links;
    this.#output = output;
    this.#hooks = hooks;
  }

  /** Whether no worker makes links at the moment. */
  get isIdle(): boolean {
    return this.#started.size === 0;
  }

  /** Adds a file to those before it. @returns the job of the run that ended with that */
  *add(prefix: string, file: UnchangedFile): Generator<LinkJob> {
    if (this.#run?.prefix !== prefix || this.#run.files.length >= maxRunFiles) {
      yield* this.end();
      const files: UnchangedFile[] = [];
      const slot: Slot = { path: file.path, state: "pending", entry: undefined, run: files };
      this.#run = { prefix, files, slot };
      this.#output.push(slot);
    }
    this.#run?.files.push(file);
  }

  /** Has the links made of the files that the walk has just passed. */
  *end(): Generator<LinkJob> {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    const started = this.#links.start(run);
    if (!("kind" in started)) return this.#settle(run, started);
    this.#started.set(started, run);
    yield started;
  }

  /** Takes a worker's answer. @param failed places of the files that could not be linked */
  onAnswer(failed: readonly number[], job: LinkJob): void {
    const run = this.#started.get(job);
    if (run === undefined) return;
    this.#started.delete(job);
    this.#links.end(job);
    this.#settle(run, failed);
  }

  #settle({ slot, files }: StartedRun, failed: readonly number[]): void {
    this.#hooks.onLinked(files, failed.length);
    if (failed.length === 0) slot.state = "done";
    else this.#output.replace(slot, this.#slotsOf(files, failed));
    this.#output.settle();
  }

  /** The run in pieces, with what could not be linked between them. */
  #slotsOf(files: readonly UnchangedFile[], failed: readonly number[]): Slot[] {
    const slots: Slot[] = [];
    let from = 0;
    const linked = (to: number) => {
      const run = files.slice(from, to);
      const [first] = run;
      if (first === undefined) return;
      slots.push({ path: first.path, state: "done", entry: undefined, run });
    };
    for (const at of failed) {
      linked(at);
      from = at + 1;
      slots.push(...this.#hooks.takeUnlinked(files[at] as UnchangedFile));
    }
    linked(files.length);
    return slots;
  }

  /** Lets go of what jobs were given that nobody answered, and no worker is at any more. */
  abandon(): void {
    for (const job of this.#started.keys()) this.#links.end(job);
    this.#started.clear();
  }

  [Symbol.dispose](): void {
    this.#links[Symbol.dispose]();
  }
}
