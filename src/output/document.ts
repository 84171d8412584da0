// JSON documents: the envelope that each of them has, and numbers that survive other people's parsers.

import { CitadelError, exitCodeOf, formatTime, messageOf, type ExitCode } from "../core/index.ts";

export type Fields = Readonly<Record<string, unknown>>;

export interface Envelope {
  readonly host: string;
  readonly nowMs: number;
}

/** `citadel.<name>/1` with host and time, then the fields. */
export function formatDocument(name: string, fields: Fields, { host, nowMs }: Envelope): string {
  return toJson({ schema: `citadel.${name}/1`, host, time: formatTime(nowMs), ...fields });
}

/** The document of a failure. */
export function formatErrorDocument(
  thrown: unknown,
  envelope: Envelope,
  exitCode?: ExitCode,
): string {
  const ours = thrown instanceof CitadelError ? thrown : undefined;
  const error = {
    code: ours?.code ?? "INTERNAL",
    message: messageOf(thrown),
    path: ours?.path ?? null,
    hint: ours?.hint ?? bugHint,
    retryable: ours?.retry === "later",
    ...(ours?.errno === undefined ? {} : { errno: ours.errno }),
    ...(ours === undefined || Object.keys(ours.details).length === 0
      ? {}
      : { details: ours.details }),
  };
  return formatDocument("error", { error, exit_code: exitCode ?? exitCodeOf(thrown) }, envelope);
}

export const bugHint =
  "this is a bug in citadel-agent; please report it with the output of `citadel-agent incident`";

/** Bigints above 2^53 become strings; DEL and C1 controls are escaped, which JSON.stringify leaves as they are. */
function toJson(value: unknown): string {
  const text = stringify(value);
  return text.replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Most documents hold no bigint, and a replacer is called for every member of ten thousand steps. */
function stringify(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return JSON.stringify(value, withoutBigint); // and throws again what has another reason
  }
}

function withoutBigint(_key: string, member: unknown): unknown {
  if (typeof member !== "bigint") return member;
  return Number.isSafeInteger(Number(member)) ? Number(member) : String(member);
}
