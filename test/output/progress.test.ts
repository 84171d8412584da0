import { describe, expect, test } from "bun:test";
import { createProgressLine, formatProgress } from "../../src/output/index.ts";

function recorder(isTerminal: boolean) {
  const written: string[] = [];
  const clock = { nowMs: 0 };
  const line = createProgressLine({
    isTerminal,
    columns: () => 40,
    monotonicMs: () => clock.nowMs,
    write: (text) => written.push(text),
  });
  return { line, written, clock };
}

describe("formatProgress", () => {
  test("says what, how much of how much, how fast, how long still, and which file", () => {
    const progress = {
      activity: "copying",
      doneBytes: 1024 ** 3,
      totalBytes: 4 * 1024 ** 3,
      current: "a\nb",
    };
    expect(formatProgress(progress, 2000)).toBe(
      "copying 1.0 GiB of 4.0 GiB (25 %), 512 MiB/s, 6.0 s left, a\\nb",
    );
  });

  test("counts items where there are no bytes, and claims nothing it does not know", () => {
    expect(formatProgress({ activity: "scanning", doneItems: 3 }, 1000)).toBe("scanning 3 items");
    expect(formatProgress({ activity: "checking", doneItems: 5, totalItems: 10 }, 1000)).toBe(
      "checking 5 of 10 items (50 %), 1.0 s left",
    );
    expect(formatProgress({ activity: "copying", doneBytes: 0, totalBytes: 0 }, 0)).toBe(
      "copying 0 B of 0 B",
    );
    expect(formatProgress({ activity: "waiting" }, 0)).toBe("waiting");
    expect(formatProgress({ activity: "flushing" }, 12_000)).toBe("flushing for 12 s");
    const bytes = { activity: "copying", doneBytes: 1024, totalBytes: 2048 };
    expect(formatProgress({ ...bytes, doneItems: 3, totalItems: 3 }, 0)).not.toContain("items");
    expect(formatProgress({ ...bytes, doneItems: 2, totalItems: 3 }, 0)).toContain("2 of 3 items");
  });
});

describe("the progress line", () => {
  test("on a terminal appears after a second and is redrawn ten times a second", () => {
    const { line, written, clock } = recorder(true);
    for (clock.nowMs = 0; clock.nowMs < 1000; clock.nowMs += 50)
      line.update({ activity: "copying" });
    expect(written).toEqual([]);
    for (; clock.nowMs < 2000; clock.nowMs += 10)
      line.update({ activity: "copying", doneItems: 1 });
    expect(written).toHaveLength(10);
    expect(written[0]).toBe("\rcopying 1 item\x1b[K");
    line.clear();
    line.clear();
    expect(written.slice(10)).toEqual(["\r\x1b[K"]);
  });

  test("the second is that of the command: what follows within it is shown as soon as it begins", () => {
    const { line, written, clock } = recorder(true);
    line.update({ activity: "looking" });
    clock.nowMs = 900;
    line.update({ activity: "copying" });
    expect(written).toEqual([]);
    clock.nowMs = 1100;
    line.update({ activity: "copying", doneBytes: 1024 });
    expect(written).toEqual(["\rcopying 1.0 KiB, 5.0 KiB/s\x1b[K"]);
    clock.nowMs = 1200;
    line.update({ activity: "flushing" });
    expect(written.at(-1)).toBe("\rflushing\x1b[K");
  });

  test("never is wider than the terminal, whatever the width of its letters", () => {
    const { line, written, clock } = recorder(true);
    line.update({ activity: "copying" });
    clock.nowMs = 5000;
    line.update({ activity: "copying", current: "模型".repeat(40) });
    const shown = Bun.stripANSI(written.join("")).replace("\r", "");
    expect(Bun.stringWidth(shown)).toBeLessThanOrEqual(39);
    expect(shown).toEndWith("…");
  });

  test("elsewhere is one line every 30 s", () => {
    const { line, written, clock } = recorder(false);
    for (clock.nowMs = 0; clock.nowMs <= 95_000; clock.nowMs += 500)
      line.update({ activity: "verifying", doneItems: clock.nowMs / 500 });
    expect(written).toEqual([
      "verifying 60 items\n",
      "verifying 120 items\n",
      "verifying 180 items\n",
    ]);
  });
});
