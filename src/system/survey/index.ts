// Looking at a host without hanging on it.
export { runSurveyChild, surveyCommand } from "./child.ts";
export { temporaryPattern } from "./probe.ts";
export * from "./question.ts";
export * from "./survey.ts";
