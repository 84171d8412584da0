// The threads of a restore: small files are done by the thread that walks the manifest, large ones by workers, which
// start when the first of those comes. SHA-256 is what a restore waits for on most machines.

import type { Clock } from "../../system/index.ts";
import {
  closeFile,
  createForWriting,
  removeFile,
  type FileAttributes,
} from "../../system/raw-file.ts";
import { closeStored, openStored, type OpenedFile } from "../../system/stored-files.ts";
import { startTicker } from "../../system/ticker.ts";
import { openWorkerPool, type WorkerPool } from "../../system/worker-pool.ts";
import { toBytes } from "../format/byte-path.ts";
import type { FileEntry } from "../format/manifest.ts";
import { directFromBytes, fillFile, hashOpened, onTarget, RestoreMemory } from "./content.ts";
import { RestoreCounter, type RestoreAnswer, type RestoreJob, takeRestoreAnswer } from "./job.ts";

/** Up to here a message to a worker costs more than it brings. */
const inlineBytes = 256 * 1024;
/** A worker is busy with so much for a good part of a second: nothing should wait behind it. */
const longBytes = 32 * 1024 * 1024;
/** More than four threads gain nothing that a disk could take; each holds 16 MiB of buffers. */
const maxWorkers = 4;
const progressMs = 100;
const itemsPerTurn = 64;
/** So long a thread is waited for that sits in a system call when the run ends: the disk may hang. */
const patienceMs = 2000;

export class RestoreCrew implements Disposable {
  readonly #clock: Pick<Clock, "sleep">;
  readonly #counter = new RestoreCounter();
  readonly #memory = new RestoreMemory(1);
  readonly #workers: number;
  readonly #ticker: Disposable;
  readonly #signal: AbortSignal | undefined;
  readonly #stopped = Promise.withResolvers<void>();
  readonly #stop = () => {
    this.#counter.stop();
    this.#stopped.resolve();
  };
  #pool: WorkerPool<RestoreJob, RestoreAnswer> | undefined;
  /** A worker died: nobody knows what the others are at, so what they were given stays open for good. */
  #isLost = false;

  /** @param onBytes told several times a second how much content has passed so far */
  constructor(
    clock: Pick<Clock, "sleep">,
    signal: AbortSignal | undefined,
    onBytes: (doneBytes: number) => void,
  ) {
    this.#clock = clock;
    this.#signal = signal;
    this.#workers = Math.max(1, Math.min(navigator.hardwareConcurrency, maxWorkers));
    this.#memory.onBytes = (count) => this.#counter.add(count);
    this.#ticker = startTicker(clock, progressMs, () => onBytes(this.#counter.bytes));
    signal?.addEventListener("abort", this.#stop, { once: true });
  }

  /** Of the content that was read so far, holes included. */
  get doneBytes(): number {
    return this.#counter.bytes;
  }

  /**
   * Runs `work` for item after item, so many at a time that no worker idles.
   * @throws the first that any of them throws, when all have ended
   */
  async each<Item>(items: Iterable<Item>, work: (item: Item) => Promise<void>): Promise<void> {
    const source = items[Symbol.iterator]();
    const failures: unknown[] = [];
    let turn = 0;
    const lane = async () => {
      try {
        for (;;) {
          this.#signal?.throwIfAborted();
          if ((turn += 1) % itemsPerTurn === 0) await this.#clock.sleep(0); // signals and timers have theirs
          const { done, value } =
            failures.length > 0 ? { done: true, value: undefined } : source.next();
          if (done === true) return;
          await work(value as Item);
        }
      } catch (thrown) {
        failures.push(thrown);
        this.#stop(); // the others give up too
      }
    };
    await this.#ended(Promise.all(Array.from({ length: this.#workers * 2 }, lane)));
    source.return?.();
    this.#signal?.throwIfAborted();
    if (failures.length > 0) throw failures[0];
  }

  /** Waits for all lanes; after a stop not for long, as one may sit in a system call. */
  async #ended(lanes: Promise<unknown>): Promise<void> {
    await Promise.race([lanes, this.#stopped.promise]);
    if (!this.#counter.isStopped) return;
    const ended = new AbortController();
    await Promise.race([lanes, this.#clock.sleep(patienceMs, ended.signal)]);
    ended.abort();
  }

  /**
   * Makes a new file of the content of `entry`, checked.
   * @param place gives its path, one character per byte, whenever it is needed: it may go through a descriptor that is
   *   closed meanwhile; nothing may lie there but a leftover
   * @param shown what it is called in messages: its place in the end
   * @throws NotRestored when the snapshot's side is wrong (nothing is left behind); CitadelError for the target's side
   */
  async write(
    directory: string,
    entry: FileEntry,
    place: () => string,
    attributes: FileAttributes,
    shown: string,
  ): Promise<void> {
    const isDirect = entry.size >= directFromBytes && entry.packed === undefined;
    const output = onTarget(shown, () => createForWriting(place(), isDirect));
    let isDone = false;
    try {
      if (entry.size <= inlineBytes) {
        await fillFile(directory, entry, output, attributes, this.#memory, shown);
      } else {
        await this.#ask(
          { kind: "fill", directory, entry, output, attributes, ...this.#with(shown) },
          entry.size,
        );
      }
      isDone = true;
    } finally {
      if (!this.#isLost) closeFile(output.fd);
      if (!isDone) removeFile(place());
    }
  }

  /**
   * SHA-256 of a file in the target, past the page cache; undefined if it is no regular file of that size.
   * @param path one character per byte
   */
  async hash(path: string, sizeBytes: number, shown: string): Promise<string | undefined> {
    const file = openStored(toBytes(path as never), "device");
    if (file === undefined) return undefined;
    try {
      if (file.sizeBytes !== sizeBytes) return undefined;
      if (sizeBytes <= inlineBytes) return hashOpened(file, this.#memory, shown);
      return await this.#askHash(file, shown);
    } finally {
      if (!this.#isLost) closeStored(file);
    }
  }

  #askHash(file: OpenedFile, shown: string): Promise<string | undefined> {
    return this.#ask({ kind: "hash", file, ...this.#with(shown) }, file.sizeBytes);
  }

  #with(shown: string) {
    return { shared: this.#counter.shared, shown };
  }

  async #ask(job: RestoreJob, sizeBytes: number): Promise<string | undefined> {
    this.#pool ??= openWorkerPool("backup/restore/restore.worker.ts", this.#workers);
    const answer = await this.#pool.ask(job, sizeBytes > longBytes).catch((thrown: unknown) => {
      this.#isLost = true;
      throw thrown;
    });
    return takeRestoreAnswer(answer);
  }

  [Symbol.dispose](): void {
    this.#signal?.removeEventListener("abort", this.#stop);
    this.#ticker[Symbol.dispose]();
    this.#pool?.[Symbol.dispose]();
  }
}
