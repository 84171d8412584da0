// Snapshot format 1 (docs/formats/snapshot.md): text to values and back, no I/O.
export * from "./byte-path.ts";
export * from "./ids.ts";
export * from "./manifest.ts";
export * from "./manifest-parser.ts";
export * from "./snapshot-json.ts";
export * from "./sums.ts";
