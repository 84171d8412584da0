// Metrics: what they are, who keeps them, how they are written down.
export * from "./exposition.ts";
export * from "./family.ts";
export * from "./registry.ts";
