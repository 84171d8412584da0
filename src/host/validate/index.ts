// The ten checks of seed 002.
export * from "./check.ts";
export * from "./layout-checks.ts";
export * from "./schedule-check.ts";
export * from "./storage-checks.ts";
export * from "./tool-check.ts";
