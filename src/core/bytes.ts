// Sizes as people write and read them. Everything inside the agent is in bytes.

import { CitadelError } from "./errors.ts";

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** Formats bytes in binary units with three significant digits: 1536 is `1.5 KiB`. */
export function formatBytes(sizeBytes: number | bigint): string {
  let value = Number(sizeBytes);
  let unit = 0;
  while (Math.abs(value) >= 1023.95 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || Math.abs(value) >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

const factors: Record<string, number> = {
  "": 1,
  b: 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  p: 1024 ** 5,
};

/**
 * Parses `10MB`, `1.5 GiB`, `4096`; all units are 1024-based (spec/settings.md section 7), any case.
 * @returns bytes, an integer
 * @throws kind `usage` for any other text (the old parser took unknown text for 1 MB)
 */
export function parseBytes(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?\s*$/i.exec(text);
  const factor = factors[match?.[2]?.toLowerCase() ?? ""];
  if (match === null || factor === undefined) {
    throw new CitadelError({
      kind: "usage",
      code: "SIZE_INVALID",
      message: `not a size: ${JSON.stringify(text)}`,
      hint: "write a number with an optional unit, such as 512, 10MB or 1.5GiB",
    });
  }
  return Math.round(Number(match[1]) * factor);
}
