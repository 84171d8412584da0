// Worker threads that answer jobs, a bounded number in flight. The worker's side is `answerJobs`. Each *.worker.ts is
// an entry point of the binary (scripts/build.ts): inside it, its URL hangs below the folder of main.ts.

import { CitadelError, messageOf } from "../core/index.ts";

/** What a worker is sent. */
interface Asked<Job> {
  readonly number: number;
  readonly job: Job;
  /** One word that is not 0 when nobody wants the answers any more. */
  readonly stop: SharedArrayBuffer;
}

interface Answer<Result> {
  readonly number: number;
  readonly result?: Result;
  readonly error?: string;
}

/** How many short jobs each worker holds: one at work, one waiting, so that it never idles between two. */
const jobsPerWorker = 2;

/** So long a worker is waited for that sits in a system call when a run ends early: the disk may hang. */
const patienceMs = 2000;

export interface WorkerPool<Job, Result> extends Disposable {
  readonly workers: number;
  /** No worker has anything to do, and none died at work: whatever jobs opened is closed. */
  readonly isQuiet: boolean;
  /** Has one job done, as soon as a worker is free for it. @param isLong as for `runAll` */
  ask(job: Job, isLong?: boolean): Promise<Result>;
  /**
   * Takes jobs from `jobs` as workers get free and hands each answer to `onResult`, in the order they come.
   * @param isLong a job that takes its time: it goes to an idle worker only, and nothing waits behind it
   * @throws what `jobs`, `onResult` or a worker throws, or an aborted signal's reason, after which the pool is of no more
   *   use: its workers were told to stop (throwIfStopped) and waited for, if not for ever (see `isQuiet`)
   */
  runAll(
    jobs: Iterable<Job> | AsyncIterable<Job>,
    onResult: (result: Result, job: Job) => void,
    signal?: AbortSignal,
    isLong?: (job: Job) => boolean,
  ): Promise<void>;
}

/** The URL of a worker's file. @param file below `src`: `backup/verify/verify.worker.ts` */
function workerUrl(file: string): string {
  const compiled = import.meta.url.includes("/$bunfs/");
  return new URL(file, compiled ? "file:///$bunfs/root/" : new URL("../", import.meta.url)).href;
}

interface Waiting<Result> {
  readonly resolve: (result: Result) => void;
  readonly reject: (reason: Error) => void;
}

/** Opens `count` workers; close the pool (`using`) to end them. @param file below `src` */
export function openWorkerPool<Job, Result>(file: string, count: number): WorkerPool<Job, Result> {
  const waiting = new Map<number, Waiting<Result>>();
  const stop = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  let next = 0;
  let onQuiet = () => {};
  /** Why a worker died, which may be before it was asked for anything. */
  let failure: CitadelError | undefined;
  const fail = (why: string) => {
    const error = (failure ??= new CitadelError({
      kind: "internal",
      code: "WORKER_FAILED",
      message: `worker ${file} failed: ${why}`,
      hint: "run the command again; if it happens again, report it with `citadel-agent incident`",
    }));
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  const workers = Array.from({ length: count }, () => {
    const worker = new Worker(workerUrl(file));
    worker.addEventListener("error", (event) => fail(event.message));
    worker.addEventListener("message", (event: MessageEvent<Answer<Result>>) => {
      const { number, result, error } = event.data;
      const waiter = waiting.get(number);
      waiting.delete(number);
      if (error !== undefined) waiter?.reject(new Error(error));
      else waiter?.resolve(result as Result);
      if (waiting.size === 0) onQuiet();
    });
    return worker;
  });
  const send = (worker: Worker, job: Job): Promise<Result> =>
    new Promise((resolve, reject) => {
      if (failure !== undefined) throw failure;
      if (Atomics.load(new Int32Array(stop), 0) !== 0) throw new WorkerStopped();
      next += 1;
      waiting.set(next, { resolve, reject });
      worker.postMessage({ number: next, job, stop } satisfies Asked<Job>);
    });
  /** Has all workers give up what they are at. Resolves when they have, or after so long. */
  const settle = async (): Promise<void> => {
    Atomics.store(new Int32Array(stop), 0, 1);
    if (waiting.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, patienceMs);
    onQuiet = resolve;
    await promise;
    clearTimeout(timer);
  };
  const desk = createDesk(workers);
  const ask = async (job: Job, isLong = false): Promise<Result> => {
    const seat = await desk.take(isLong);
    try {
      return await send(seat.worker, job);
    } finally {
      desk.giveBack(seat);
    }
  };
  return {
    workers: count,
    get isQuiet() {
      return waiting.size === 0 && failure === undefined;
    },
    ask,
    async runAll(jobs, onResult, signal, isLong = () => false) {
      const source = toAsync(jobs);
      let isEnded = false;
      const lane = async () => {
        for (;;) {
          signal?.throwIfAborted();
          const { done, value } = await source.next();
          if (done || isEnded) return;
          const result = await ask(value, isLong(value));
          if (isEnded) return;
          onResult(result, value);
        }
      };
      try {
        await untilAborted(
          Promise.all(Array.from({ length: count * jobsPerWorker }, lane)),
          signal,
        );
      } catch (thrown) {
        isEnded = true;
        await settle();
        throw thrown;
      } finally {
        void source.return(undefined); // after a failure: lets the giver close what it holds open
      }
    },
    [Symbol.dispose]() {
      for (const worker of workers) worker.terminate();
    },
  };
}

/** The work, or the reason of the signal as soon as it aborts. */
async function untilAborted(
  work: Promise<unknown>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal?.reason as Error);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([work, promise]);
  } finally {
    signal?.removeEventListener("abort", abort);
    work.catch(() => {}); // what it still comes to, nobody asks for
  }
}

/** A worker, and what it has to do. */
export interface Seat {
  readonly worker: Worker;
  jobs: number;
  isLong: boolean;
}

/** Says which worker takes a job: the idle one first; a short job may wait behind another short one. */
export function createDesk(workers: readonly Worker[]) {
  const seats: Seat[] = workers.map((worker) => ({ worker, jobs: 0, isLong: false }));
  const queue: { readonly isLong: boolean; readonly resolve: (seat: Seat) => void }[] = [];
  const find = (isLong: boolean) =>
    seats.find(({ jobs }) => jobs === 0) ??
    (isLong ? undefined : seats.find((seat) => !seat.isLong && seat.jobs < jobsPerWorker));
  const sit = (seat: Seat, isLong: boolean): Seat => {
    seat.jobs += 1;
    seat.isLong ||= isLong;
    return seat;
  };
  return {
    take(isLong: boolean): Promise<Seat> {
      const seat = find(isLong);
      if (seat !== undefined) return Promise.resolve(sit(seat, isLong));
      return new Promise((resolve) => queue.push({ isLong, resolve }));
    },
    giveBack(seat: Seat): void {
      seat.jobs -= 1;
      if (seat.jobs === 0) seat.isLong = false;
      for (let at = 0; at < queue.length;) {
        const waiting = queue[at] as (typeof queue)[number];
        const found = find(waiting.isLong);
        if (found === undefined) at += 1;
        else {
          queue.splice(at, 1);
          waiting.resolve(sit(found, waiting.isLong));
        }
      }
    },
  };
}

/** One iterator for all lanes; an async generator queues its callers. */
async function* toAsync<Job>(jobs: Iterable<Job> | AsyncIterable<Job>): AsyncGenerator<Job> {
  yield* jobs;
}

let stopWord: Int32Array | undefined;

/**
 * For long work of a worker, now and then: gives up when nobody wants the answer any more. Does nothing elsewhere.
 * @throws an error that only the pool sees
 */
export function throwIfStopped(): void {
  if (stopWord !== undefined && Atomics.load(stopWord, 0) !== 0) throw new WorkerStopped();
}

/** A run ended early. */
export class WorkerStopped extends Error {
  constructor() {
    super("stopped");
  }
}

/**
 * The worker's side: answers each job by `handle`, one after the other. Called once, at the top of a *.worker.ts.
 */
export function answerJobs<Job, Result>(handle: (job: Job) => Result | Promise<Result>): void {
  const scope = globalThis as unknown as Worker; // inside a worker the global scope is its end of the channel
  let turn = Promise.resolve();
  scope.addEventListener("message", (event: MessageEvent<Asked<Job>>) => {
    const { number, job, stop } = event.data;
    turn = turn.then(async () => {
      try {
        stopWord ??= new Int32Array(stop);
        throwIfStopped();
        scope.postMessage({ number, result: await handle(job) });
      } catch (thrown) {
        scope.postMessage({ number, error: messageOf(thrown) });
      }
    });
  });
}
