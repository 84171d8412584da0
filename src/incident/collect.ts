// Gathers the evidence for an incident: every collector runs at once, each with a deadline, and whatever is
// not there or does not answer is written down as such. Nothing is changed and no lock is taken.

import { messageOf } from "../core/index.ts";
import type { Clock } from "../system/index.ts";

export interface Collector {
  /** Name inside the bundle: `mounts/mountinfo.txt`. */
  readonly file: string;
  collect(signal: AbortSignal): Promise<string | undefined> | string | undefined;
}

export interface CollectedFile {
  readonly file: string;
  readonly state: "collected" | "absent" | "failed" | "not_answering";
  readonly bytes: number;
  readonly duration_s: number;
  readonly error?: string;
}

export interface Evidence {
  readonly files: Readonly<Record<string, string>>;
  readonly index: readonly CollectedFile[];
}

export interface CollectOptions {
  readonly clock: Clock;
  /** All collectors together get this long. */
  readonly deadlineMs: number;
  /** More than this of one file is cut at the front: the end of a log is what matters. */
  readonly fileLimitBytes: number;
  readonly redact: (text: string) => string;
  readonly signal: AbortSignal;
}

/** Runs the collectors side by side. Never throws for a collector: its failure is part of the evidence. */
export async function collectEvidence(
  collectors: readonly Collector[],
  options: CollectOptions,
): Promise<Evidence> {
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const startedMs = options.clock.monotonicMs();
  const deadline = options.clock.sleep(options.deadlineMs, signal);
  const files: Record<string, string> = {};
  const index = await Promise.all(
    collectors.map(async (collector): Promise<CollectedFile> => {
      const entry = (state: CollectedFile["state"], bytes: number, error?: string) => ({
        file: collector.file,
        state,
        bytes,
        duration_s: Math.round(options.clock.monotonicMs() - startedMs) / 1000,
        ...(error === undefined ? {} : { error }),
      });
      try {
        const late = deadline.then((): typeof notAnswering => notAnswering);
        const text = await Promise.race([Promise.resolve(collector.collect(signal)), late]);
        if (text === notAnswering) return entry("not_answering", 0);
        if (text === undefined) return entry("absent", 0);
        const kept = options.redact(lastPart(text, options.fileLimitBytes));
        files[collector.file] = kept;
        return entry("collected", Buffer.byteLength(kept));
      } catch (thrown) {
        return entry("failed", 0, options.redact(messageOf(thrown)));
      }
    }),
  );
  stop.abort();
  return { files, index };
}

const notAnswering: unique symbol = Symbol("not answering");

function lastPart(text: string, limitBytes: number): string {
  if (text.length <= limitBytes) return text;
  return `[the first ${text.length - limitBytes} characters are left out]\n${text.slice(-limitBytes)}`;
}
