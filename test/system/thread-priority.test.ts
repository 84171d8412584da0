// A worker steps back by itself: the thread that feeds it keeps its place.

import { expect, test } from "bun:test";
import * as fs from "node:fs";

test("yieldToOthers is for the calling thread alone", async () => {
  const script = `
    import { yieldToOthers } from "${import.meta.dir}/../../src/system/thread-priority.ts";
    if (Bun.isMainThread) {
      const worker = new Worker(import.meta.path);
      await new Promise((resolve) => worker.addEventListener("message", resolve));
      const { readdirSync, readFileSync } = await import("node:fs");
      // proc_pid_stat(5): the nice value is field 19, the 17th after the name in brackets
      const niceOf = (tid) => {
        const text = readFileSync("/proc/self/task/" + tid + "/stat", "utf8");
        return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[16]);
      };
      const all = readdirSync("/proc/self/task").map(niceOf);
      console.log(Math.max(...all) - niceOf(process.pid));
      process.exit(0);
    }
    yieldToOthers();
    postMessage("done");
    setInterval(() => {}, 1000);
  `;
  const path = `${fs.realpathSync("/tmp")}/citadel-nice-${process.pid}.ts`;
  fs.writeFileSync(path, script);
  try {
    const child = Bun.spawnSync([process.execPath, path]);
    expect(child.stdout.toString()).toBe("5\n");
  } finally {
    fs.rmSync(path);
  }
});
