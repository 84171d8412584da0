// Which files a test restore tries: one that stands for the bytes (in models a shard of weights), and a few that stand
// for the names.

import { createRandom } from "../../core/index.ts";
import { toText } from "../format/byte-path.ts";
import type { FileEntry, ManifestEntry } from "../format/manifest.ts";

const maxSmall = 7;
const maxSmallBytes = 256 * 1024 ** 2;

export interface TestSample {
  readonly files: readonly FileEntry[];
  /** Files that were left out as there is no room to try them. */
  readonly tooLarge: number;
}

/**
 * Draws one file with a chance by its size, and up to seven by name alone, each of those of at most 256 MiB.
 * @param budgetBytes what all of them may take together
 */
export function drawTestSample(
  entries: Iterable<ManifestEntry>,
  seed: number,
  budgetBytes: number,
): TestSample {
  const random = createRandom(seed);
  const smallBytes = Math.min(maxSmallBytes, budgetBytes / (2 * maxSmall));
  const small: FileEntry[] = [];
  let heavy: FileEntry | undefined;
  let [seen, seenBytes, tooLarge] = [0, 0, 0];
  for (const entry of entries) {
    if (entry.type !== "file" || toText(entry.path) === undefined) continue;
    if (entry.size > budgetBytes / 2) {
      tooLarge += 1;
      continue;
    }
    // reservoirs: of one, weighted (Chao 1982), and of seven (Vitter's algorithm R)
    seenBytes += entry.size;
    if (seenBytes > 0 && random() * seenBytes < entry.size) heavy = entry;
    if (entry.size > smallBytes) continue;
    seen += 1;
    const at = small.length < maxSmall ? small.length : Math.floor(random() * seen);
    if (at < maxSmall) small[at] = entry;
  }
  const files = small.filter(({ path }) => path !== heavy?.path);
  return { files: heavy === undefined ? files : [heavy, ...files], tooLarge };
}
