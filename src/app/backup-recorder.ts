// Writing into the catalogue as far as that goes: a state disk that is full, read-only or damaged stops no backup, no
// verification and no restore. What could not be recorded is said once.

import type { Catalog } from "../backup/catalog/catalog.ts";
import { CitadelError } from "../core/index.ts";

/** Each try may wait for a lock: what failed so often is left alone. */
const maxFailures = 3;

export class Recorder implements Disposable {
  #failures = 0;

  /** @param remark why there is no catalogue, or what was wrong with it */
  constructor(
    readonly catalog: Catalog | undefined,
    public remark: string | undefined,
  ) {}

  /** @returns what the change gives; undefined where it could not be made */
  write<T>(change: (catalog: Catalog) => T): T | undefined {
    if (this.catalog === undefined || this.#failures >= maxFailures) return undefined;
    try {
      return change(this.catalog);
    } catch (thrown) {
      if (!(thrown instanceof CitadelError)) throw thrown;
      this.#failures += 1;
      this.remark ??= unrecorded(thrown);
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    this.catalog?.[Symbol.dispose]();
  }
}

export function unrecorded({ message }: CitadelError): string {
  return `the result could not be recorded: ${message}`;
}
