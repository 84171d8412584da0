// Unchanged files that follow one another in a directory: the workers make their links, hundreds at a time, while this
// thread walks on. linkat(2) is most of what an unchanged snapshot costs.

import { DirectoryCache } from "../../system/directory-cache.ts";
import { closeFile, openDirectory } from "../../system/raw-file.ts";
import { type LinkJob, linkNames } from "../copy/link-job.ts";
import type { BytePath } from "../format/index.ts";
import type { UnchangedFile } from "./unchanged.ts";

/** Links that go to a worker at once. */
export const maxRunFiles = 512;
/** Below this many a message to a worker costs more than the links. */
const minRunFiles = 16;

/** Files of one directory, in order, with nothing else between them. */
export interface LinkRun {
  /** Path of the directory with a slash at its end; empty for the root. */
  readonly prefix: string;
  readonly files: UnchangedFile[];
}

export class LinkRuns implements Disposable {
  readonly #from: DirectoryCache;
  readonly #to: DirectoryCache;
  readonly #inWorkers: boolean;

  /**
   * @param parentDirectory where the parent lies @param directory the snapshot that is built
   * @param inWorkers false: every link is made at once, on this thread
   */
  constructor(parentDirectory: string, directory: string, inWorkers: boolean) {
    this.#from = new DirectoryCache(`${parentDirectory}/data`);
    this.#to = new DirectoryCache(`${directory}/data`);
    this.#inWorkers = inWorkers;
  }

  /** @returns a job for a worker; or, as the links are made already, which files could not be linked */
  start(run: LinkRun): LinkJob | readonly number[] {
    const { prefix, files } = run;
    const path = prefix === "" ? "." : (prefix.slice(0, -1) as BytePath);
    const names = Buffer.from(
      files.map((file) => `${file.path.slice(prefix.length)}\0`).join(""),
      "latin1",
    );
    const sizes = Float64Array.from(files, ({ size }) => size);
    let fds: readonly [number, number];
    try {
      fds = [this.#from.directory(path), this.#to.directory(path)];
    } catch {
      return files.map((_, at) => at); // the long way says what is wrong
    }
    if (!this.#inWorkers || files.length < minRunFiles) return linkNames(...fds, names, sizes);
    // descriptors of its own: the caches close theirs when they have seen many others
    const [fromFd, toFd] = fds.map((fd) => openDirectory(`/proc/self/fd/${fd}/.`)) as [
      number,
      number,
    ];
    return { kind: "link", fromFd, toFd, names, sizes };
  }

  /**
   * Lets go of what a job used, when its answer is there, or no worker is at work any more: one that is must not meet
   * another directory under these numbers.
   */
  end(job: LinkJob): void {
    closeFile(job.fromFd);
    closeFile(job.toFd);
  }

  [Symbol.dispose](): void {
    this.#from[Symbol.dispose]();
    this.#to[Symbol.dispose]();
  }
}
