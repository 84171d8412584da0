// Progress on stderr: one line that changes on a terminal, a line every 30 s elsewhere. Nothing in the first second.

import { counted, formatBytes, formatDuration } from "../core/index.ts";
import type { Progress } from "./output.ts";
import { printable } from "./printable.ts";

const firstMs = 1000;
const redrawMs = 100;
const lineMs = 30_000;

export interface ProgressLine {
  update(progress: Progress): void;
  /** Takes the line off the terminal, so that other text can be printed. */
  clear(): void;
}

export interface ProgressOptions {
  readonly isTerminal: boolean;
  readonly columns: () => number;
  readonly monotonicMs: () => number;
  readonly write: (text: string) => void;
}

export function createProgressLine(options: ProgressOptions): ProgressLine {
  let firstUpdateMs: number | undefined;
  let startedMs = 0;
  let lastMs = 0;
  let activity = "";
  let shown = false;
  const clear = () => {
    if (shown) options.write("\r\x1b[K");
    shown = false;
  };
  return {
    clear,
    update(progress) {
      const nowMs = options.monotonicMs();
      if (firstUpdateMs === undefined) {
        firstUpdateMs = nowMs;
        lastMs = options.isTerminal ? nowMs + firstMs - redrawMs : nowMs;
      }
      if (progress.activity !== activity) startedMs = nowMs; // what was done so far has its own pace
      activity = progress.activity;
      if (nowMs - lastMs < (options.isTerminal ? redrawMs : lineMs)) return;
      lastMs = nowMs;
      const text = formatProgress(progress, nowMs - startedMs);
      if (!options.isTerminal) return options.write(`${text}\n`);
      options.write(`\r${truncate(text, options.columns() - 1)}\x1b[K`);
      shown = true;
    },
  };
}

/** `copying 1.2 GiB of 4.0 GiB (30 %), 512 MiB/s, 5.6 s left, active/model.safetensors`. */
export function formatProgress(progress: Progress, elapsedMs: number): string {
  const { activity, doneBytes, totalBytes, doneItems, totalItems, current } = progress;
  const parts: string[] = [];
  if (doneBytes !== undefined) {
    parts.push(
      amount(
        formatBytes(doneBytes),
        totalBytes === undefined ? undefined : formatBytes(totalBytes),
      ),
    );
    if (elapsedMs > 0) parts.push(`${formatBytes((doneBytes * 1000) / elapsedMs)}/s`);
  }
  const isCounted = doneBytes !== undefined && doneItems === totalItems; // says nothing any more
  if (doneItems !== undefined && !isCounted)
    parts.push(
      totalItems === undefined
        ? counted(doneItems, "item")
        : `${doneItems} of ${counted(totalItems, "item")}`,
    );
  const done = doneBytes !== undefined && totalBytes !== undefined ? doneBytes : doneItems;
  const total = doneBytes !== undefined && totalBytes !== undefined ? totalBytes : totalItems;
  if (done !== undefined && total !== undefined && total > 0) {
    const ratio = Math.min(1, done / total);
    parts[0] = `${parts[0]} (${Math.floor(ratio * 100)} %)`;
    if (ratio > 0 && ratio < 1)
      parts.push(`${formatDuration((elapsedMs * (1 - ratio)) / ratio)} left`);
  }
  if (current !== undefined) parts.push(printable(current));
  if (parts.length === 0 && elapsedMs >= firstMs) parts.push(`for ${formatDuration(elapsedMs)}`);
  return `${activity} ${parts.join(", ")}`.trimEnd();
}

const amount = (done: string, total: string | undefined) =>
  total === undefined ? done : `${done} of ${total}`;

function truncate(text: string, columns: number): string {
  if (Bun.stringWidth(text) <= columns) return text;
  let kept = "";
  let width = 0;
  for (const character of text) {
    width += Bun.stringWidth(character);
    if (width > columns - 1) break;
    kept += character;
  }
  return `${kept}…`;
}
