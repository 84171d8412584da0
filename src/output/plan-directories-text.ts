// Many directories to be made, told in a few lines: one for each place below which they will lie. A person decides on
// places; every single step stands in `--dry-run` and behind `--verbose`.

import { isWithin, parentOf } from "../core/index.ts";
import { printable } from "./printable.ts";

/** From so many on, directories are told by their places. */
export const manyDirectories = 8;

const namesPerPlace = 12;

/**
 * Rows of place, count and first-level names: `/mnt/citadel-models  21 directories  active (8), archive (4), staging`.
 * A number in brackets counts the directory and what is made below it.
 * @param paths absolute; parents and children in any order
 */
export function directoryPlaces(paths: readonly string[]): string[][] {
  const made = new Set(paths);
  const tops = paths.filter((path) => !made.has(parentOf(path)));
  const places = Map.groupBy(tops, (top) => parentOf(top));
  return [...places].flatMap(([parent, below]) => {
    // a tree of its own is its own place: /opt/citadel, not /opt
    const [only] = below;
    const place = below.length === 1 && only !== undefined ? only : parent;
    const inside = paths.filter((path) => below.some((top) => isWithin(path, top)));
    const firsts = place === parent ? below : inside.filter((path) => parentOf(path) === place);
    const names = firsts.slice(0, namesPerPlace).map((first) => {
      const count = inside.filter((path) => isWithin(path, first)).length;
      const name = printable(first.slice(place === "/" ? 1 : place.length + 1));
      return count === 1 ? name : `${name} (${count})`;
    });
    if (firsts.length > names.length) names.push("…");
    const count = `${inside.length} ${inside.length === 1 ? "directory" : "directories"}`;
    return [[printable(place), count, names.join(", ")]];
  });
}
