// Looks at many paths without ever hanging: what lies on the root file system is asked directly, everything else by
// one child per mount with a deadline (spec/README.md rule 5). A mount that hangs costs its own answers, no others.

import { readFileSync } from "node:fs";
import { writeFileAtomic } from "../atomic-write.ts";
import { CitadelError } from "../../core/index.ts";
import { parseMountinfo } from "../mountinfo.ts";
import { selfCommand } from "../processes.ts";
import { createLocalView, destination, type LocalView } from "./local.ts";
import { answer } from "./probe.ts";
import type { Answer, Question } from "./question.ts";
import { earlyMark, startSurveyChild, takeEarlyChild, type SurveyChild } from "./start-child.ts";

export interface SurveyOptions {
  /** How long a mount may take for all its answers. Default 5 s. */
  readonly deadlineMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Where a child that cannot be killed is noted, so that no later command sends a second one: HostPaths.runtimeDir. */
  readonly noteDir?: string | undefined;
}

export const surveyDeadlineMs = 5000;
const outputLimitBytes = 64 * 1024 * 1024;

/** Children that did not die of SIGKILL, by mount point: there is never a second one. */
const stuckChildren = new Map<string, number>();

/** When a mount last let a deadline pass: for a while it is not asked again, so that a command waits only once. */
const silentSinceMs = new Map<string, number>();
const silenceMs = 30_000;

/**
 * Answers every question, in order.
 * @returns one answer per question; `unknown` where the mount did not answer in time
 * @throws kind `cancelled` where somebody interrupted the command: a mount that was not waited for is not one that hangs
 */
export async function survey(
  questions: readonly Question[],
  options: SurveyOptions = {},
): Promise<Answer[]> {
  const view = createLocalView(readOwnMounts());
  const answers: (Answer | undefined)[] = questions.map(() => undefined);
  const groups = new Map<string, number[]>();
  const ask = (mountpoint: string, at: number) => {
    const group = groups.get(mountpoint);
    if (group === undefined) groups.set(mountpoint, [at]);
    else group.push(at);
  };
  // what is local first, in this process: it says which mounts the links lead to, so that each gets one child
  for (const [at, question] of questions.entries()) {
    if (!view.isSafe(question.path)) ask(view.mountpointOf(question.path), at);
    else {
      answers[at] = answerLocally(view, question, () => ask(leadsTo(view, question.path), at));
    }
  }
  await startChildren(groups, questions, answers, options);
  throwIfInterrupted(options.signal);
  return answers as Answer[];
}

function throwIfInterrupted(signal: AbortSignal | undefined): void {
  const reason: unknown = signal?.reason;
  if (reason instanceof CitadelError && reason.kind === "cancelled") throw reason;
}

/** Reads this process's own mounts: what may hang is decided by the kernel we run on, also below `--root`. */
function readOwnMounts() {
  return parseMountinfo(readFileSync("/proc/self/mountinfo", "utf8"));
}

function answerLocally(view: LocalView, question: Question, follow: () => void): Answer {
  if (question.kind !== "state") {
    // text and access follow the last part: a link there leads who knows where
    const found = safely(() => view.state(question.path));
    if (found.kind === "state" && found.type === "link") follow();
    else return answer(question);
    return { kind: "unknown", mountpoint: "/", reason: "not answering" };
  }
  const found = safely(() => view.state(question.path));
  if (found.kind === "state" && found.type === "link" && found.resolves === undefined) follow();
  return found;
}

function safely(look: () => Answer): Answer {
  try {
    return look();
  } catch (thrown) {
    const errno = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "EUNKNOWN";
    if (errno === "ENOENT" || errno === "ENOTDIR") return { kind: "absent" };
    return { kind: "error", errno, text: thrown instanceof Error ? thrown.message : errno };
  }
}

/** The mount that a link's resolution will touch first, as far as its text tells. */
function leadsTo(view: LocalView, path: string): string {
  const found = safely(() => view.state(path));
  if (found.kind !== "state" || found.target === undefined) return view.mountpointOf(path);
  return view.mountpointOf(destination(path, found.target) ?? path);
}

async function startChildren(
  groups: ReadonlyMap<string, readonly number[]>,
  questions: readonly Question[],
  answers: (Answer | undefined)[],
  options: SurveyOptions,
): Promise<void> {
  const children = [...groups].map(async ([mountpoint, indexes]) => {
    const asked = indexes.map((at) => questions[at] as Question);
    const found = await askChild(mountpoint, asked, options);
    for (const [nth, at] of indexes.entries()) {
      answers[at] = found[nth] ?? { kind: "unknown", mountpoint, reason: "not answering" };
    }
  });
  await Promise.all(children);
}

/** Starts a child for one mount and takes what it says until the deadline. */
async function askChild(
  mountpoint: string,
  questions: readonly Question[],
  options: SurveyOptions,
): Promise<Answer[]> {
  const silentMs = performance.now() - (silentSinceMs.get(mountpoint) ?? Number.NEGATIVE_INFINITY);
  if (silentMs < silenceMs || isStuck(mountpoint, options.noteDir)) return [];
  const child = takeEarlyChild() ?? startSurveyChild(selfCommand(), mountpoint);
  askQuestions(child, questions);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), options.deadlineMs ?? surveyDeadlineMs);
  const cancel = () => stop.abort();
  options.signal?.addEventListener("abort", cancel, { once: true });
  try {
    return await readAnswers(child.stdout, stop.signal);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", cancel);
    const timedOut = stop.signal.aborted;
    if (timedOut) silentSinceMs.set(mountpoint, performance.now());
    if (timedOut) await endChild(child, mountpoint, options.noteDir);
  }
}

/** A child that is gone already answers nothing, which is what its caller will see; writing to it is no error of ours. */
function askQuestions(child: SurveyChild, questions: readonly Question[]): void {
  const ignore = () => {};
  try {
    void Promise.resolve(child.stdin.write(JSON.stringify(questions))).catch(ignore);
    void Promise.resolve(child.stdin.end()).catch(ignore);
  } catch {
    // the same, said at once
  }
}

async function readAnswers(
  stream: ReadableStream<Uint8Array>,
  stop: AbortSignal,
): Promise<Answer[]> {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  const stopped = new Promise<"stopped">((resolve) => {
    stop.addEventListener("abort", () => resolve("stopped"), { once: true });
  });
  while (sizeBytes < outputLimitBytes) {
    const turn = await Promise.race([reader.read(), stopped]);
    if (turn === "stopped" || turn.done) break;
    chunks.push(turn.value);
    sizeBytes += turn.value.length;
  }
  const text = Buffer.concat(chunks).toString("utf8");
  const lines = text.slice(0, text.lastIndexOf("\n") + 1).split("\n");
  lines.pop();
  return lines.map((line) => JSON.parse(line) as Answer);
}

/** A child that hangs in the kernel cannot be waited for: it is remembered, and no second one is sent. */
async function endChild(
  child: {
    readonly pid: number;
    kill(signal: "SIGKILL"): void;
    unref(): void;
    exited: Promise<number>;
  },
  mountpoint: string,
  noteDir: string | undefined,
): Promise<void> {
  child.kill("SIGKILL");
  let timer: ReturnType<typeof setTimeout> | undefined;
  const grace = new Promise<"stuck">((resolve) => {
    timer = setTimeout(() => resolve("stuck"), 200);
  });
  if ((await Promise.race([child.exited, grace])) === "stuck") {
    stuckChildren.set(mountpoint, child.pid);
    noteStuck(mountpoint, child.pid, noteDir);
    child.unref();
  }
  clearTimeout(timer);
}

/** Name of the note about a mount's stuck child. */
export function stuckNote(noteDir: string, mountpoint: string): string {
  const digest = new Bun.CryptoHasher("sha256").update(mountpoint).digest("hex").slice(0, 16);
  return `${noteDir}/survey-${digest}.pid`;
}

function noteStuck(mountpoint: string, pid: number, noteDir: string | undefined): void {
  if (noteDir === undefined) return;
  try {
    writeFileAtomic(stuckNote(noteDir, mountpoint), String(pid), { mode: 0o644 });
  } catch {
    // without the right to note it, this process alone knows
  }
}

function isStuck(mountpoint: string, noteDir: string | undefined): boolean {
  const pid = stuckChildren.get(mountpoint) ?? notedPid(mountpoint, noteDir);
  if (pid === undefined) return false;
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    const isIts = words.includes(mountpoint) || words.includes(earlyMark);
    if (words.includes("survey") && isIts) return true;
  } catch {
    // it is gone at last
  }
  stuckChildren.delete(mountpoint);
  return false;
}

function notedPid(mountpoint: string, noteDir: string | undefined): number | undefined {
  if (noteDir === undefined) return undefined;
  try {
    const pid = Number(readFileSync(stuckNote(noteDir, mountpoint), "utf8"));
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined; // no note: no child is stuck there
  }
}
