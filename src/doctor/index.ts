// Checks of the agent's own footing.
export * from "./check.ts";
export * from "./host-checks.ts";
export * from "./state-checks.ts";
