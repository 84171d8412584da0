// Shared words, no I/O.
export * from "./bytes.ts";
export * from "./environment-id.ts";
export * from "./errors.ts";
export * from "./exit-code.ts";
export * from "./json.ts";
export * from "./nearest.ts";
export * from "./paths.ts";
export * from "./secret.ts";
export * from "./seeded-random.ts";
export * from "./time.ts";
export * from "./counted.ts";
