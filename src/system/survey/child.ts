// The child of a survey: questions in as one JSON text on stdin, answers out as one JSON line each, in order. It may
// hang in the kernel for ever; its parent stops waiting.

import { readFileSync, writeSync } from "node:fs";
import { answer } from "./probe.ts";
import type { Question } from "./question.ts";

const flushEvery = 64;

/** Answers what stands on stdin. The first answers go out one by one: the first access is what hangs. */
export async function run(): Promise<number> {
  const text = readFileSync(0, "utf8");
  if (text === "") return 0; // started early, and then not needed
  const questions = JSON.parse(text) as Question[];
  let pending = "";
  for (const [at, question] of questions.entries()) {
    pending += `${JSON.stringify(answer(question))}\n`;
    if (at >= flushEvery && at % flushEvery !== 0) continue;
    writeAll(pending);
    pending = "";
  }
  writeAll(pending);
  return 0;
}

function writeAll(text: string): void {
  const bytes = Buffer.from(text);
  let offset = 0;
  while (offset < bytes.length) offset += writeSync(1, bytes, offset);
}
