// Terminal text and JSON.
export * from "./output.ts";
export * from "./style.ts";
