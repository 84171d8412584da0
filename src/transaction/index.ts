// The transaction engine: plans as data, a journal, apply, undo, recovery, generations.
export * from "./operation.ts";
