// The thread that copies: takes batches of files, one after another, and answers with their hashes.

import { syncFileSystem } from "../system/native.ts";
import { closeFile, openDirectory } from "../system/raw-file.ts";
import { answerJobs } from "../system/worker-pool.ts";
import { type CopyMemory, copyFile, packRingBytes } from "./copy/copy-file.ts";
import type { CopyResult, WorkerAnswer, WorkerJob } from "./copy/job.ts";

/** The collector sizes its heap by the machine's memory, not by what a backup may take. */
const filesPerCollection = 2048;
let filesSinceCollection = 0;
let ring = new Uint8Array(0);

function memoryOf(ringBytes: number, packLock: SharedArrayBuffer): CopyMemory {
  if (ring.length !== ringBytes) ring = new Uint8Array(new ArrayBuffer(ringBytes));
  const word = new Int32Array(packLock);
  return {
    ring,
    async withPackRing(work) {
      if (ring.length >= packRingBytes) return work(ring);
      while (Atomics.compareExchange(word, 0, 0, 1) !== 0) Atomics.wait(word, 0, 1, 1000);
      try {
        return await work(new Uint8Array(new ArrayBuffer(packRingBytes)));
      } finally {
        Atomics.store(word, 0, 0);
        Atomics.notify(word, 0, 1);
      }
    },
  };
}

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
  const memory = memoryOf(job.ringBytes, job.packLock);
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
