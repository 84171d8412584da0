// Starts the child of a survey. For commands that will surely need one, main.ts starts it before anything else is
// loaded: it comes up beside the settings and the journal, on another core, instead of after them.
// Imports next to nothing: it is on the way of every start.

import { readFileSync } from "node:fs";

/** The words that start it: `citadel-agent __child survey MOUNTPOINT` (src/internal.ts). */
export const surveyCommand: readonly string[] = ["__child", "survey"];

/** Stands for the mount point of a child that was started before its mount was known. */
export const earlyMark = "(early)";

/** Starts a child that waits for its questions on stdin. @param self the words that start this program */
export function startSurveyChild(self: readonly string[], mountpoint: string) {
  return Bun.spawn([...self, ...surveyCommand, mountpoint], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C.UTF-8" },
    cwd: "/",
    // Ctrl-C goes to the whole group of a terminal: a child that it ends would look like a mount that is dead
    detached: true,
  });
}

export type SurveyChild = ReturnType<typeof startSurveyChild>;

let early: SurveyChild | undefined;

/**
 * Starts a child for the first mount that will be asked, where the mount table says that there will be one: models on
 * a disk of their own, at the usual place. Elsewhere nothing is lost but the time that this look takes.
 */
export function startEarlyChild(self: readonly string[]): void {
  try {
    const mounts = readFileSync("/proc/self/mountinfo", "utf8");
    if (mounts.includes("/mnt/citadel-models ")) early = startSurveyChild(self, earlyMark);
  } catch {
    // without /proc or without another process the survey itself will say what is wrong
  }
}

/** The child that was started early, once; undefined afterwards and where none was. */
export function takeEarlyChild(): SurveyChild | undefined {
  const child = early;
  early = undefined;
  return child;
}
