// Looking at a host without hanging on it.
export { temporaryPattern } from "./probe.ts";
export * from "./question.ts";
export * from "./survey.ts";
