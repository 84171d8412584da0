// The transaction engine: plans as data, a journal, apply, undo, recovery, generations.
export * from "./engine.ts";
export type { EngineState, Generation, PendingTransaction } from "./journal-view.ts";
export { openJournalView } from "./journal-view.ts";
export type { OwnedKind } from "./journal-schema.ts";
export * from "./operation.ts";
export * from "./plan-hash.ts";
export type { Recovered } from "./recover.ts";
export { contentLimitBytes, describeState, matches, observe } from "./state.ts";
export type { Step } from "./step.ts";
export type { UndoResult } from "./undo.ts";
