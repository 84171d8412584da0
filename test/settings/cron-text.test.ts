import { describe, expect, test } from "bun:test";
import { isCron } from "../../src/settings/cron-text.ts";

/** What the runtime's own parser says; it also takes nicknames, which the settings do not. */
function runtimeAccepts(text: string): boolean {
  try {
    return text.trim().split(/\s+/).length === 5 && Bun.cron.parse(text.trim()) !== null;
  } catch {
    return false;
  }
}

const parts = [
  ..."* 0 5 */5 */0 1-5 5-1 1-5/2 5/10 7 12 31 59 60 24 mon Jan monday january fri-sun MON-FRI".split(
    " ",
  ),
  ..."1,2,3 1, -1 1- *-5 ? L 1.5 32 13 0-7 thurs sept sat-sun */100 008 1/2/3 5-5 29 30 31/2".split(
    " ",
  ),
];

describe("isCron", () => {
  test.each(["0 2 * * *", "0 3 * * 0", "0 4 1 * *", "*/15 * * * *", "0 0 31 2 mon"])(
    "takes %s",
    (text) => expect(isCron(text)).toBe(true),
  );

  test.each(["", "daily", "@daily", "0 2 * *", "0 2 * * * *", "60 * * * *", "0 0 31 2 *"])(
    "refuses %j",
    (text) => expect(isCron(text)).toBe(false),
  );

  test("agrees with the runtime's parser on every part in every field, and on mixtures", () => {
    let seed = 20_260_102;
    const next = () => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
    const pick = () => (next() < 0.5 ? "*" : (parts[Math.floor(next() * parts.length)] ?? "*"));
    const texts = parts.flatMap((part) =>
      [0, 1, 2, 3, 4].map((at) => ["*", "*", "*", "*", "*"].with(at, part).join(" ")),
    );
    for (let at = 0; at < 2000; at += 1) texts.push([0, 0, 0, 0, 0].map(pick).join(" "));
    expect(texts.filter((text) => isCron(text) !== runtimeAccepts(text))).toEqual([]);
  });
});
