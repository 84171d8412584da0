// How much of the files at work has passed, counted by the copy workers and read by the thread that shows progress: a
// single file may take an hour. What a file counted is taken back when it ends: its answer counts it then.

/** Shared by all threads of a run. */
export function createPassedBytes(): SharedArrayBuffer {
  return new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT);
}

export function readPassedBytes(shared: SharedArrayBuffer): number {
  return Number(Atomics.load(new BigInt64Array(shared), 0));
}

/** What one file counts. */
export class PassedBytes {
  readonly #shared: BigInt64Array;
  #own = 0n;

  constructor(shared: SharedArrayBuffer) {
    this.#shared = new BigInt64Array(shared);
  }

  add(bytes: number): void {
    this.#own += BigInt(bytes);
    Atomics.add(this.#shared, 0, BigInt(bytes));
  }

  /** Takes back what was added: the file ended, or is tried again. */
  settle(): void {
    Atomics.sub(this.#shared, 0, this.#own);
    this.#own = 0n;
  }
}
