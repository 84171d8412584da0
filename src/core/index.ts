// Shared words, no I/O.
export * from "./bytes.ts";
export * from "./errors.ts";
export * from "./exit-code.ts";
export * from "./json.ts";
export * from "./paths.ts";
export * from "./time.ts";
