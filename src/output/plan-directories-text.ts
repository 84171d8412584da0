// Many directories to be made, told in a few lines: one for each place below which they will lie. A person decides on
// places; every single step stands in `--dry-run` and behind `--verbose`.

import { isWithin, parentOf } from "../core/index.ts";
import { printable } from "./printable.ts";

/** From so many on, directories are told by their places. */
export const manyDirectories = 8;

const namesPerPlace = 12;
/** A place with this many directories below this few names says too little: each name is a place of its own then. */
const splitFrom = 16;
const fewNames = 3;

/**
 * Rows of place, count and first-level names: `/mnt/citadel-models  21 directories  active (8), archive (4), staging`.
 * A number in brackets counts the directory and what is made below it. Every path is counted in one row.
 * @param paths absolute; parents and children in any order
 */
export function directoryPlaces(paths: readonly string[]): string[][] {
  const made = new Set(paths);
  const tops = paths.filter((path) => !made.has(parentOf(path)));
  const places = Map.groupBy(tops, (top) => parentOf(top));
  return [...places].flatMap(([parent, firsts]) => {
    const [only] = firsts;
    // a tree of its own is its own place: /opt/citadel, not /opt
    return firsts.length === 1 && only !== undefined
      ? treeRows(only, paths)
      : placeRows(parent, firsts, paths);
  });
}

/** A directory that is made, with everything below it. */
function treeRows(top: string, paths: readonly string[]): string[][] {
  const firsts = paths.filter((path) => parentOf(path) === top);
  const inside = countWithin(top, paths);
  const [only] = firsts;
  if (firsts.length === 1 && only !== undefined && inside > 2) {
    return [row(top, 1, ""), ...treeRows(only, paths)];
  }
  if (isCoarse(inside, firsts)) {
    return [row(top, 1, ""), ...firsts.flatMap((first) => treeRows(first, paths))];
  }
  return [row(top, inside, namesOf(top, firsts, paths))];
}

/** A directory that is there, with what is made in it. */
function placeRows(place: string, firsts: readonly string[], paths: readonly string[]): string[][] {
  const inside = firsts.reduce((sum, first) => sum + countWithin(first, paths), 0);
  if (isCoarse(inside, firsts)) return firsts.flatMap((first) => treeRows(first, paths));
  return [row(place, inside, namesOf(place, firsts, paths))];
}

const isCoarse = (inside: number, firsts: readonly string[]) =>
  inside >= splitFrom && firsts.length <= fewNames;

const countWithin = (top: string, paths: readonly string[]) =>
  paths.filter((path) => isWithin(path, top)).length;

const row = (place: string, count: number, names: string) => [
  printable(place),
  `${count} ${count === 1 ? "directory" : "directories"}`,
  names,
];

function namesOf(place: string, firsts: readonly string[], paths: readonly string[]): string {
  const names = firsts.slice(0, namesPerPlace).map((first) => {
    const count = countWithin(first, paths);
    const name = printable(first.slice(place === "/" ? 1 : place.length + 1));
    return count === 1 ? name : `${name} (${count})`;
  });
  return (firsts.length > names.length ? [...names, "…"] : names).join(", ");
}
