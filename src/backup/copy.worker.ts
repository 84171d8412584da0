// The thread that copies: takes batches of files, one after another, and answers with their hashes; it links too.

import { syncFileSystem } from "../system/native.ts";
import { closeFile, openDirectory } from "../system/raw-file.ts";
import { answerJobs } from "../system/worker-pool.ts";
import { CopyMemory, copyFile } from "./copy/copy-file.ts";
import { linkNames } from "./copy/link-job.ts";
import type { CopyResult, WorkerAnswer, WorkerJob } from "./copy/job.ts";

/** The collector sizes its heap by the machine's memory, not by what a backup may take. */
const filesPerCollection = 2048;
let filesSinceCollection = 0;
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
  if (job.kind === "link") {
    return { failed: linkNames(job.fromFd, job.toFd, job.names, job.sizes) };
  }
  memory ??= new CopyMemory();
  const results: CopyResult[] = [];
  filesSinceCollection += job.orders.length;
  if (filesSinceCollection >= filesPerCollection) {
    filesSinceCollection = 0;
    Bun.gc(true);
  }
  const { task } = job;
  for (const order of job.orders) {
    const source = `${task.sourceRoot}/${order.path}`;
    results.push(await copyFile({ ...task, ...order, source }, memory));
  }
  return results;
}

answerJobs<WorkerJob, WorkerAnswer>(handle);
