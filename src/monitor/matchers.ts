// What a person types to silence alerts: `DISK_USAGE,root=models` and `2h`. Pure.

import { CitadelError } from "../core/index.ts";
import type { Labels } from "./sample.ts";

/** @throws kind `usage`, code MATCHER_INVALID */
export function parseMatchers(text: string): Labels {
  const matchers: Record<string, string> = {};
  for (const part of text.split(",").map((each) => each.trim())) {
    const label = /^([a-z_][a-z0-9_]*)=(.+)$/.exec(part);
    if (label?.[1] !== undefined && label[2] !== undefined) matchers[label[1]] = label[2];
    else if (/^[A-Z][A-Z0-9_]*$/.test(part)) matchers["name"] = part;
    else
      throw new CitadelError({
        kind: "usage",
        code: "MATCHER_INVALID",
        message: `not an alert's name and not label=value: ${JSON.stringify(part)}`,
        hint: "write the name in capitals as `alerts list` shows it, or labels as `root=models`",
      });
  }
  return matchers;
}

const unitMs: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const mostMs = 365 * 86_400_000;

/** `30m`, `2h`, `7d`, `90s`; at most a year. @throws kind `usage`, code DURATION_INVALID */
export function parseDurationMs(text: string): number {
  const match = /^(\d{1,9})([smhd])$/.exec(text.trim());
  const durationMs = Number(match?.[1] ?? 0) * (unitMs[match?.[2] ?? ""] ?? 0);
  if (durationMs > 0 && durationMs <= mostMs) return durationMs;
  throw new CitadelError({
    kind: "usage",
    code: "DURATION_INVALID",
    message: `not a duration: ${JSON.stringify(text)}`,
    hint: "write a number with s, m, h or d: 30m, 2h, 7d; a year at most",
  });
}
