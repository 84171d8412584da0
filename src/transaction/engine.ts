// The transaction engine: lock, recover, plan, record, apply, commit, in that order. Planners give it a function
// from the state to a plan; it gives back a report. It never prints and never asks.

import { canonicalJson, CitadelError, messageOf, type AbsolutePath } from "../core/index.ts";
import { fromErrno, type Clock } from "../system/index.ts";
import { acquireLock } from "../system/lock.ts";
import { DirectoryTree } from "../system/directory-tree.ts";
import { applySteps, cleanUp, needsCleanup, type CleanupReport } from "./apply.ts";
import { createStepContext } from "./context.ts";
import { assertAtomicOnly, openFallback } from "./fallback.ts";
import { openJournalView, JournalView, type EngineState, type Generation } from "./journal-view.ts";
import { newToken, type Journal } from "./journal.ts";
import type { Operation, OperationKind, Plan } from "./operation.ts";
import { planHash } from "./plan-hash.ts";
import { preparePlan, type PreparedPlan } from "./prepare.ts";
import { undoFailed, type Recovered } from "./recover.ts";
import { planRollback, planUndoOf } from "./rollback.ts";
import { openSession, type Session } from "./session.ts";
import type { Step } from "./step.ts";
import { undoSteps } from "./undo.ts";
import { assertMayChange } from "./privilege.ts";

export interface EngineOptions {
  /** HostPaths.root: the trusted base below which every path of a plan lies. */
  readonly root: AbsolutePath;
  /** Where journal.db lies. */
  readonly stateDir: AbsolutePath;
  /** Locks and the fallback journal. */
  readonly runtimeDir: AbsolutePath;
  /** Root's state directory; a caller without privilege changes nothing that root's journal may know. */
  readonly systemStateDir?: AbsolutePath | undefined;
  /** Root, or below `--root`, where no privilege is needed. */
  readonly privileged: boolean;
  readonly user: string;
  readonly pid: number;
  readonly clock: Clock;
  /** Retention of history. Default 100 generations, 365 days. */
  readonly keepGenerations?: number | undefined;
  readonly keepDays?: number | undefined;
  /** The journal's WAL is grown to this size beforehand. Default 1 MiB. */
  readonly reserveBytes?: number | undefined;
}

export interface ChangeRequest {
  /** What a person typed: `links create --force`. */
  readonly command: string;
  /** Called once, under the lock, after recovery. Looks and decides; changes nothing. */
  readonly plan: (state: EngineState) => Plan | Promise<Plan>;
  /** What the person confirmed, or --plan-hash. */
  readonly expectedHash?: string | undefined;
  readonly lockTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Called under the lock before the first step and before each batch; throws if the host must not be changed. */
  readonly guard?: (() => void) | undefined;
  readonly onStep?: ((step: Step) => void) | undefined;
  readonly onProgress?: ((path: string, bytes: number, totalBytes: number) => void) | undefined;
  readonly privileged?: boolean | undefined;
}

export interface StepReport {
  readonly op: OperationKind;
  readonly path: AbsolutePath;
  readonly done: boolean;
}

export interface ChangeReport {
  readonly outcome: "applied" | "nothing" | "conflicts";
  readonly plan: Plan;
  readonly planHash: string;
  readonly transaction: number | null;
  readonly generation: number | null;
  /** What dead processes had left, and what became of it. */
  readonly recovered: readonly Recovered[];
  readonly steps: readonly StepReport[];
  /** After the commit: what an adopt did not delete because it was not known to be safe elsewhere. */
  readonly kept: CleanupReport["kept"];
  /** Committed, but deleting what it replaced failed: to be said; the next change finishes it. */
  readonly unfinished: string | undefined;
  /** Only the fallback journal could be written; to be said to the person. */
  readonly fallback: boolean;
  /** Where a damaged journal was put, if one was. */
  readonly setAside: string | undefined;
}

const defaultKeepGenerations = 100;
const defaultKeepDays = 365;
const dayMs = 86_400_000;

/** Opens the engine. Nothing is read or locked yet. */
export function openEngine(options: EngineOptions): Engine {
  return new Engine(options);
}

export class Engine implements Disposable {
  #view: (JournalView & Disposable) | undefined;

  constructor(readonly options: EngineOptions) {}

  /** The journal as it is now, read-only: no lock, no recovery. Valid until the engine is closed. */
  get state(): EngineState {
    return this.#journalView();
  }

  #journalView(): JournalView {
    this.#view ??= openJournalView(this.options);
    return this.#view;
  }

  /** Committed generations, newest first. */
  history(): Generation[] {
    return this.#journalView().history();
  }

  /** The steps of one generation. */
  stepsOf(generation: number): Step[] {
    return this.#journalView().stepsOf(generation);
  }

  /** The plan back to the state after `generation`, from what is on disk now. Give it to `change` as its plan. */
  planRollback(generation: number, stays?: (path: AbsolutePath) => boolean): Plan {
    using tree = new DirectoryTree(this.options.root);
    return planRollback(this.#journalView(), tree, generation, stays);
  }

  /** The plan back from some generations, what others did in between left alone. */
  planUndoOf(command: string, generations: readonly number[]): Plan {
    using tree = new DirectoryTree(this.options.root);
    return planUndoOf(this.#journalView(), tree, command, generations);
  }

  /**
   * Looks at what the operations will meet, as `change` does before its first step: an adoption that cannot be done,
   * space that is not there. Takes no lock and changes nothing.
   * @throws what `change` would throw then
   */
  rehearse(operations: readonly Operation[]): void {
    using tree = new DirectoryTree(this.options.root);
    const content = () => new Uint8Array();
    preparePlan(
      createStepContext({ tree, content, options: this.options }, newToken(), {}),
      operations,
    );
  }

  /** Finishes what dead processes left, under the lock. */
  async recover(request: {
    readonly command: string;
    readonly lockTimeoutMs: number;
    readonly signal?: AbortSignal | undefined;
  }): Promise<readonly Recovered[]> {
    assertMayChange(this.options, undefined);
    using _lock = await this.#lock(request);
    using session = openSession(this.options);
    return session.recovered;
  }

  /**
   * Plans under the lock and applies the plan as one transaction.
   * @throws LOCKED (5), PLAN_CHANGED (6), HOST_CHANGED (6), PERMISSION (1), or the error of the step that failed with
   *   everything undone; UNDO_FAILED if it was not
   */
  async change(request: ChangeRequest): Promise<ChangeReport> {
    assertMayChange(this.options, request.privileged);
    using _lock = await this.#lock(request);
    this[Symbol.dispose](); // a view opened before the lock may be older than what is there now
    using session = openSession(this.options);
    const plan = await request.plan(session.view);
    const hash = planHash(plan);
    const base = reportBase(session, plan, hash);
    if (plan.conflicts.length > 0) return { ...base, outcome: "conflicts" };
    if (request.expectedHash !== undefined && request.expectedHash !== hash) {
      throw planChanged(request.expectedHash, hash);
    }
    const annotations = mergeAnnotations(session.view.latestAnnotations(), plan.annotations);
    const sameNotes =
      canonicalJson(annotations) === canonicalJson(session.view.latestAnnotations());
    if (plan.operations.length === 0 && sameNotes) return { ...base, outcome: "nothing" };
    request.guard?.();
    return await this.#apply(request, session, plan, { ...base, annotations });
  }

  async #apply(
    request: ChangeRequest,
    session: Session,
    plan: Plan,
    base: ReturnType<typeof reportBase> & { annotations: Record<string, unknown> },
  ): Promise<ChangeReport> {
    const { annotations, ...report } = base;
    const token = newToken();
    const context = createStepContext(session, token, request);
    if (session.fallbackCause !== undefined) {
      assertAtomicOnly(plan.operations, session.fallbackCause);
    }
    const prepared = preparePlan(context, plan.operations);
    const { journal, id } = this.#begin(request, session, token, base.planHash, prepared);
    let attempted = 0;
    let generation: number;
    try {
      await applySteps({
        context,
        journal,
        transactionId: id,
        steps: prepared.steps,
        clock: this.options.clock,
        signal: request.signal,
        guard: request.guard,
        onAttempt: (seq) => (attempted = seq + 1),
        onStep: request.onStep,
      });
      generation = journal.commit(id, prepared.steps, {
        endedMs: this.options.clock.nowMs(),
        annotations,
        cleanup: needsCleanup(prepared.steps),
      });
    } catch (thrown) {
      const attemptedSteps = prepared.steps.slice(0, attempted);
      throw this.#undo(request, session, journal, id, token, attemptedSteps, thrown);
    }
    const { kept, unfinished } = this.#finish(
      session,
      journal,
      id,
      generation,
      token,
      prepared.steps,
    );
    return {
      ...report,
      outcome: "applied",
      transaction: id,
      generation,
      steps: report.steps.map((step) => ({ ...step, done: true })),
      kept,
      unfinished,
      fallback: journal.fallback,
    };
  }

  /** Records the plan; in the fallback journal where the real one turns out to be full or failing. */
  #begin(
    request: ChangeRequest,
    session: Session,
    token: string,
    hash: string,
    prepared: PreparedPlan,
  ): { journal: Journal; id: number } {
    const transaction = {
      token,
      command: request.command,
      user: this.options.user,
      pid: this.options.pid,
      startedMs: this.options.clock.nowMs(),
      planHash: hash,
      ...prepared,
    };
    try {
      return { journal: session.journal, id: session.journal.begin(transaction) };
    } catch (thrown) {
      if (session.journal.fallback) throw thrown;
      const operations = prepared.steps.map((step) => step.operation);
      const fallback = openFallback(this.options, thrown);
      session.adopt(fallback, thrown);
      assertAtomicOnly(operations, thrown);
      return { journal: fallback, id: fallback.begin(transaction) };
    }
  }

  /** Undoes after an error. @returns the error to throw: the cause's kind, with every undo in its details */
  #undo(
    request: ChangeRequest,
    session: Session,
    journal: Journal,
    id: number,
    token: string,
    attempted: readonly Step[],
    thrown: unknown,
  ): CitadelError {
    const cause =
      thrown instanceof CitadelError ? thrown : fromErrno(thrown, request.command, "the plan");
    // Without the signal: an interrupted command still undoes.
    const context = createStepContext(session, token, {});
    const report = undoSteps(context, attempted);
    if (!report.complete) return undoFailed(id, request.command, report.results, cause);
    const details = { ...cause.details, transaction: id, undo: report.results };
    try {
      journal.markUndone(id, this.options.clock.nowMs(), cause.message);
    } catch (markError) {
      const note = `${cause.message}; everything was undone, but the journal could not be told: ${(markError as Error).message}`;
      return restate(cause, note, { ...details, open: true });
    }
    const kept = report.results.filter((result) => result.outcome === "kept").length;
    const done = report.results.length - kept;
    const note = `${cause.message}; ${done === 0 ? "nothing had been changed" : `${done === 1 ? "the step done was" : `all ${done} steps done were`} undone`}${kept === 0 ? "" : `, ${kept} left as found`}`;
    return restate(cause, note, { ...details, open: false });
  }

  /** After the commit point: destroys what the plan replaced, prunes history. */
  #finish(
    session: Session,
    journal: Journal,
    id: number,
    generation: number,
    token: string,
    steps: readonly Step[],
  ): CleanupReport & { readonly unfinished: string | undefined } {
    let report: CleanupReport = { kept: [] };
    try {
      if (needsCleanup(steps)) {
        report = cleanUp(createStepContext(session, token, {}), steps);
        journal.markCleaned(id);
      }
      const { keepGenerations = defaultKeepGenerations, keepDays = defaultKeepDays } = this.options;
      journal.prune(keepGenerations, this.options.clock.nowMs() - keepDays * dayMs);
      return { ...report, unfinished: undefined };
    } catch (thrown) {
      // The commit stands: everything is new, and what is left to delete is known to the journal.
      const message = `generation ${generation} is committed, but not cleaned up after: ${messageOf(thrown)}`;
      return { ...report, unfinished: message };
    }
  }

  #lock(request: {
    readonly command: string;
    readonly lockTimeoutMs: number;
    readonly signal?: AbortSignal | undefined;
  }) {
    return acquireLock({
      directory: this.options.runtimeDir,
      domain: "host",
      command: request.command,
      timeoutMs: request.lockTimeoutMs,
      clock: this.options.clock,
      signal: request.signal,
    });
  }

  /** Closes the view. The engine may be used again. */
  [Symbol.dispose](): void {
    this.#view?.[Symbol.dispose]();
    this.#view = undefined;
  }
}

function reportBase(session: Session, plan: Plan, hash: string) {
  return {
    plan,
    planHash: hash,
    transaction: null,
    generation: null,
    recovered: session.recovered,
    steps: plan.operations.map(({ op, path }) => ({ op, path, done: false })),
    kept: [],
    unfinished: undefined,
    fallback: session.journal.fallback,
    setAside: session.journal.database.setAside,
  };
}

/** New values over old ones; null takes a key away. */
function mergeAnnotations(
  old: Readonly<Record<string, unknown>>,
  changes: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...old, ...changes };
  for (const key of Object.keys(merged)) if (merged[key] === null) delete merged[key];
  return merged;
}

function restate(
  cause: CitadelError,
  message: string,
  details: Readonly<Record<string, unknown>>,
): CitadelError {
  return new CitadelError({
    kind: cause.kind,
    code: cause.code,
    message,
    path: cause.path,
    operation: cause.operation,
    errno: cause.errno,
    hint: cause.hint,
    retry: cause.retry,
    details,
    cause,
  });
}

function planChanged(expected: string, found: string): CitadelError {
  return new CitadelError({
    kind: "conflict",
    code: "PLAN_CHANGED",
    message: `the plan is no longer the one that was confirmed (${expected.slice(0, 12)}, now ${found.slice(0, 12)})`,
    hint: "look at the new plan with --dry-run and confirm that one",
    details: { expected, found },
  });
}
