// Proof of the agent's promises on the operator's own file system.
export * from "./backup-torture.ts";
export * from "./links-torture.ts";
export { assertScratchParent } from "./scratch-parent.ts";
export type { PromiseReport, TortureOptions } from "./torture.ts";
