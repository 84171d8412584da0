// What "did you mean" says of a mistyped word of the command line.

import { nearestName } from "../core/index.ts";

/** The candidate nearest by letters, else one that begins with `word`; undefined when none can be meant. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const begun =
    word.replace(/^-+/, "") === "" ? [] : candidates.filter((each) => each.startsWith(word));
  return nearestName(word, candidates) ?? begun[0];
}
