// The incident bundle: what a person needs who was not there.
export * from "./collect.ts";
export * from "./host-collectors.ts";
export * from "./redact.ts";
