// A failure as a person reads it: what failed on which path, why, what to do next. A stack only with --verbose.

import { CitadelError, messageOf } from "../core/index.ts";
import { bugHint } from "./document.ts";
import { printable } from "./printable.ts";
import type { Style } from "./style.ts";

/** Three lines, and the stack below them when `verbose`. */
export function formatErrorText(thrown: unknown, style: Style, verbose: boolean): string {
  const { what, why, next } = describe(thrown);
  const lines = [
    `${style.paint("critical", "error:")} ${what}`,
    `  why:  ${printable(why)}`,
    `  next: ${printable(next)}`,
  ];
  if (verbose) lines.push(...stackLines(thrown));
  return lines.join("\n");
}

function describe(thrown: unknown): { what: string; why: string; next: string } {
  if (!(thrown instanceof CitadelError)) {
    return { what: "internal error", why: `${messageOf(thrown)} (INTERNAL)`, next: bugHint };
  }
  const next = thrown.hint ?? `citadel-agent explain ${thrown.code}`;
  const { message, code, errno, path } = thrown;
  const undone = afterSystemCall(thrown);
  if (undone !== undefined) return { ...undone, next };
  const place = path === undefined || message.includes(path) ? "" : `: ${path}`;
  // Messages of system calls end in ": No space left on device (ENOSPC)": that part is the reason.
  const cut =
    errno !== undefined && message.endsWith(`(${errno})`) ? message.lastIndexOf(": ") : -1;
  if (cut !== -1) {
    return {
      what: printable(message.slice(0, cut) + place),
      why: `${message.slice(cut + 2)}, ${code}`,
      next,
    };
  }
  // Wrong settings are reported all at once, a line each; elsewhere a newline can only come from a name.
  const text = message + place;
  const lines = thrown.kind === "settings" ? text.split("\n") : [text];
  const cause = thrown.cause === undefined ? "" : `${messageOf(thrown.cause)}; `;
  return {
    what: lines.map(printable).join("\n"),
    why: `${cause}${code}: \`citadel-agent explain ${code}\` says more`,
    next,
  };
}

/**
 * A failed step with what became of the others: `mkdir failed on /a: No space left on device (ENOSPC); 3 steps undone`.
 * The system's own words are the reason, the rest says what failed.
 */
function afterSystemCall({ cause, code, message }: CitadelError) {
  if (!(cause instanceof CitadelError) || cause.errno === undefined) return undefined;
  const at = cause.message.lastIndexOf(": ");
  if (at === -1 || !message.startsWith(cause.message)) return undefined;
  if (!cause.message.endsWith(`(${cause.errno})`)) return undefined;
  const rest = message.slice(cause.message.length);
  return {
    what: printable(cause.message.slice(0, at) + rest),
    why: `${cause.message.slice(at + 2)}, ${code}`,
  };
}

const maxCauses = 5;

function stackLines(thrown: unknown): string[] {
  const lines: string[] = [];
  let error = thrown;
  for (let depth = 0; depth < maxCauses && error instanceof Error; depth += 1) {
    const stack = (error.stack ?? String(error)).split("\n");
    lines.push(...stack.map((line, at) => (at === 0 && depth > 0 ? `caused by: ${line}` : line)));
    error = error.cause;
  }
  return lines.map(printable);
}
