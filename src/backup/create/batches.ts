// Gathers the files for the workers: a large one is a job of its own, small ones go many at a time.

import { type CopyOrder, smallFileBytes } from "../copy/job.ts";

const batchFiles = 64;
const batchBytes = 4 * 1024 * 1024;

export class Batches {
  #batch: CopyOrder[] = [];
  #size = 0;

  /** Takes one more. @returns the groups that are full by now */
  *add(order: CopyOrder): Generator<readonly CopyOrder[]> {
    if (order.sizeBytes > smallFileBytes) {
      yield [order];
      return;
    }
    this.#batch.push(order);
    this.#size += order.sizeBytes;
    if (this.#batch.length >= batchFiles || this.#size >= batchBytes) yield* this.flush();
  }

  /** What waits for company. */
  *flush(): Generator<readonly CopyOrder[]> {
    if (this.#batch.length === 0) return;
    const orders = this.#batch;
    this.#batch = [];
    this.#size = 0;
    yield orders;
  }
}
