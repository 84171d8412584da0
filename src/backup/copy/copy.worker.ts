// The thread that copies: takes batches of files, one after another, and answers with their hashes; it links too.

import { systemClock } from "../../system/clock.ts";
import { collectGrownMemory } from "../../system/memory.ts";
import { syncFileSystem } from "../../system/native.ts";
import { yieldToOthers } from "../../system/thread-priority.ts";
import { closeFile, openDirectory } from "../../system/raw-file.ts";
import { answerJobs, throwIfStopped } from "../../system/worker-pool.ts";
import { CopyMemory, copyFile } from "./copy-file.ts";
import { linkNames } from "./link-job.ts";
import { smallFileBytes, type CopyResult, type WorkerAnswer, type WorkerJob } from "./job.ts";
import { pace } from "./stream.ts";

/** Of up to 64 files each. */
const jobsPerLook = 8;
let jobs = 0;
let memory: CopyMemory | undefined;

async function handle(job: WorkerJob): Promise<WorkerAnswer> {
  if (job.kind === "flush") {
    const fd = openDirectory(job.path);
    try {
      syncFileSystem(fd);
    } finally {
      closeFile(fd);
    }
    return [];
  }
  if ((jobs += 1) % jobsPerLook === 0) collectGrownMemory();
  if (job.kind === "link") {
    return { failed: linkNames(job.fromFd, job.toFd, job.names, job.sizes) };
  }
  memory ??= new CopyMemory();
  const results: CopyResult[] = [];
  const { task } = job;
  const startedMs = systemClock.monotonicMs();
  let smallBytes = 0;
  for (const order of job.orders) {
    throwIfStopped();
    const source = `${task.sourceRoot}/${order.path}`;
    results.push(await copyFile({ ...task, ...order, source }, memory));
    // A large file is a job of its own, and paces itself.
    if (order.sizeBytes > smallFileBytes || task.bytesPerSecond === 0) continue;
    smallBytes += order.sizeBytes;
    await pace(smallBytes, task.bytesPerSecond, startedMs);
  }
  return results;
}

// the thread that walks has the next work for all others, and a server has better things to do than backups
yieldToOthers();
answerJobs<WorkerJob, WorkerAnswer>(handle);
