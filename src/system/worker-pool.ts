// Worker threads that answer jobs, a bounded number in flight. The worker's side is `answerJobs`. Each *.worker.ts is
// an entry point of the binary (scripts/build.ts): inside it, its URL hangs below the folder of main.ts.

import { CitadelError, messageOf } from "../core/index.ts";

interface Answer<Result> {
  readonly number: number;
  readonly result?: Result;
  readonly error?: string;
}

/** How many jobs each worker holds: one at work, one waiting, so that it never idles between two. */
const jobsPerWorker = 2;

export interface WorkerPool<Job, Result> extends Disposable {
  readonly workers: number;
  /**
   * Takes jobs from `jobs` as workers get free and hands each answer to `onResult`, in the order they come.
   * @throws what `jobs`, `onResult` or a worker throws, after which the pool is of no more use; an aborted signal's reason
   */
  runAll(
    jobs: Iterable<Job> | AsyncIterable<Job>,
    onResult: (result: Result, job: Job) => void,
    signal?: AbortSignal,
  ): Promise<void>;
}

/** The URL of a worker's file. @param file below `src`: `backup/verify.worker.ts` */
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
  let next = 0;
  const fail = (why: string) => {
    const error = new CitadelError({
      kind: "internal",
      code: "WORKER_FAILED",
      message: `worker ${file} failed: ${why}`,
      hint: "run the command again; if it happens again, report it with `citadel-agent incident`",
    });
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
    });
    return worker;
  });
  const ask = (worker: Worker, job: Job): Promise<Result> =>
    new Promise((resolve, reject) => {
      next += 1;
      waiting.set(next, { resolve, reject });
      worker.postMessage({ number: next, job });
    });
  return {
    workers: count,
    async runAll(jobs, onResult, signal) {
      const source = toAsync(jobs);
      const lane = async (worker: Worker) => {
        for (;;) {
          signal?.throwIfAborted();
          const { done, value } = await source.next();
          if (done) return;
          onResult(await ask(worker, value), value);
        }
      };
      const lanes = workers.flatMap((worker) =>
        Array.from({ length: jobsPerWorker }, () => lane(worker)),
      );
      try {
        await Promise.all(lanes);
      } finally {
        void source.return(undefined); // after a failure: lets the giver close what it holds open
      }
    },
    [Symbol.dispose]() {
      for (const worker of workers) worker.terminate();
    },
  };
}

/** One iterator for all lanes; an async generator queues its callers. */
async function* toAsync<Job>(jobs: Iterable<Job> | AsyncIterable<Job>): AsyncGenerator<Job> {
  yield* jobs;
}

/**
 * The worker's side: answers each job by `handle`, one after the other. Called once, at the top of a *.worker.ts.
 */
export function answerJobs<Job, Result>(handle: (job: Job) => Result | Promise<Result>): void {
  const scope = globalThis as unknown as Worker; // inside a worker the global scope is its end of the channel
  let turn = Promise.resolve();
  scope.addEventListener("message", (event: MessageEvent<{ number: number; job: Job }>) => {
    const { number, job } = event.data;
    turn = turn.then(async () => {
      try {
        scope.postMessage({ number, result: await handle(job) });
      } catch (thrown) {
        scope.postMessage({ number, error: messageOf(thrown) });
      }
    });
  });
}
