// Terminal text and JSON.
export * from "./colour.ts";
export * from "./create-output.ts";
export * from "./document.ts";
export * from "./error-text.ts";
export * from "./logger.ts";
export * from "./output.ts";
export * from "./printable.ts";
export * from "./progress.ts";
export * from "./style.ts";
export * from "./wide-table.ts";
export * from "./wide-table.ts";
