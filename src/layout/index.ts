// The layout: what a host should look like, what it looks like, and the plan from the one to the other.
export * from "./activation.ts";
export * from "./actual.ts";
export * from "./classify.ts";
export * from "./desired.ts";
export * from "./env-script.ts";
export * from "./env-values.ts";
export * from "./history.ts";
export * from "./mounts.ts";
export * from "./options.ts";
export * from "./plan.ts";
export * from "./verify.ts";
