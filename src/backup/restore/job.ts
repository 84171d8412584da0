// What the threads of a restore are asked: to fill a new file with the content of a stored one, or to hash a file that
// lies in the target. All paths of the target are opened by the thread that asks: a worker gets descriptors.

import { CitadelError, messageOf } from "../../core/index.ts";
import { fromErrno } from "../../system/errno.ts";
import type { FileAttributes, OpenedFile as WritableFile } from "../../system/raw-file.ts";
import type { OpenedFile } from "../../system/stored-files.ts";
import type { FileEntry } from "../format/manifest.ts";
import { fillFile, hashOpened, NotRestored, type RestoreMemory } from "./content.ts";

export type RestoreJob = {
  /** What all threads of the run share: RestoreCounter. */
  readonly shared: SharedArrayBuffer;
  /** What the file is called in messages. */
  readonly shown: string;
} & (
  | {
      readonly kind: "fill";
      readonly directory: string;
      readonly entry: FileEntry;
      readonly output: WritableFile;
      readonly attributes: FileAttributes;
    }
  | { readonly kind: "hash"; readonly file: OpenedFile }
);

/** An error on its way between threads, which do not keep the class. */
type ToldError = Pick<
  CitadelError,
  "kind" | "code" | "message" | "path" | "operation" | "errno" | "hint" | "retry"
>;

export type RestoreAnswer =
  | { readonly state: "done"; readonly sha256: string | undefined }
  /** The snapshot's side is wrong. */
  | { readonly state: "refused"; readonly reason: string }
  | { readonly state: "stopped" }
  | { readonly state: "failed"; readonly error: ToldError };

/** The run was ended: nobody wants the rest of this file. */
class Stopped extends Error {}

/** Bytes that passed and the wish to stop, shared by the threads of a run. */
export class RestoreCounter {
  readonly #bytes: BigInt64Array;
  readonly #stop: Int32Array;

  constructor(readonly shared = new SharedArrayBuffer(16)) {
    this.#bytes = new BigInt64Array(shared, 0, 1);
    this.#stop = new Int32Array(shared, 8, 1);
  }

  /** Of the content that all threads read so far, holes included. */
  get bytes(): number {
    return Number(Atomics.load(this.#bytes, 0));
  }

  get isStopped(): boolean {
    return Atomics.load(this.#stop, 0) !== 0;
  }

  /** Has every thread give up its file at the next block. */
  stop(): void {
    Atomics.store(this.#stop, 0, 1);
  }

  add(count: number): void {
    Atomics.add(this.#bytes, 0, BigInt(count));
    if (this.isStopped) throw new Stopped("stopped");
  }
}

/** The worker's side. @param memory of this thread; its `onBytes` is set */
export async function doRestoreJob(job: RestoreJob, memory: RestoreMemory): Promise<RestoreAnswer> {
  const counter = new RestoreCounter(job.shared);
  memory.onBytes = (count) => counter.add(count);
  try {
    if (job.kind === "hash")
      return { state: "done", sha256: hashOpened(job.file, memory, job.shown) };
    const { directory, entry, output, attributes, shown } = job;
    await fillFile(directory, entry, output, attributes, memory, shown);
    return { state: "done", sha256: entry.sha256 };
  } catch (thrown) {
    if (thrown instanceof Stopped) return { state: "stopped" };
    if (thrown instanceof NotRestored) return { state: "refused", reason: messageOf(thrown) };
    return {
      state: "failed",
      error: tell(fromErrno(thrown, job.kind === "fill" ? "write" : "read", job.shown)),
    };
  }
}

function tell(error: CitadelError): ToldError {
  const { kind, code, message, path, operation, errno, hint, retry } = error;
  return { kind, code, message, path, operation, errno, hint, retry };
}

/** The other side: what the job came to. @throws NotRestored, or the error of the target's side */
export function takeRestoreAnswer(answer: RestoreAnswer): string | undefined {
  switch (answer.state) {
    case "done":
      return answer.sha256;
    case "refused":
      throw new NotRestored(answer.reason);
    case "stopped":
      throw new Stopped("stopped");
    case "failed":
      throw new CitadelError(answer.error);
  }
}
