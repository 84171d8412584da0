// What the source has and the snapshot has not, with the reason of each: never a silent gap.

import { type BytePath, type SkippedPath, jsonPath, maxSkippedListed } from "../format/index.ts";
import type { SkipReason } from "./options.ts";

interface Why {
  readonly message: string;
  readonly errno?: string | undefined;
}

export class Skips {
  readonly listed: SkippedPath[] = [];
  total = 0;
  /** How many failed with an error of the device: worth another run. */
  deviceErrors = 0;

  add(path: BytePath, reason: SkipReason, why?: Why): void {
    this.total += 1;
    if (why?.errno === "EIO") this.deviceErrors += 1;
    if (this.listed.length >= maxSkippedListed) return;
    const error = why?.errno ?? undefined;
    this.listed.push({ ...jsonPath(path), reason, ...(error === undefined ? {} : { error }) });
  }
}
