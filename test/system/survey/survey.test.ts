// The survey on a real tree: what is there, where links lead, and what this process leaves to a child.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseMountinfo } from "../../../src/system/index.ts";
import { createLocalView, destination } from "../../../src/system/survey/local.ts";
import { survey, type Answer } from "../../../src/system/survey/index.ts";

const root = realpathSync(mkdtempSync(`${tmpdir()}/citadel-survey-`));
afterAll(() => rmSync(root, { recursive: true }));
mkdirSync(`${root}/real/inner`, { recursive: true });
writeFileSync(`${root}/real/file`, "text");
for (const [name, target] of Object.entries({
  absolute: `${root}/real`,
  relative: "real/inner",
  up: "../nowhere/else",
  gone: "/gone/away",
  loop: "loop",
  "to-file": "real/file",
  chain: "relative",
  "through-link": `${root}/absolute/inner`,
  "odd-dots": `${root}/real/inner/../file`,
})) {
  symlinkSync(target, `${root}/${name}`);
}

const state = (path: string) => ({ kind: "state", path: `${root}/${path}` }) as const;
const resolves = (answer: Answer | undefined) =>
  answer?.kind === "state" ? answer.resolves : answer?.kind;

describe("survey", () => {
  test("says where each link leads, through other links and dots as well", async () => {
    const names = ["absolute", "relative", "up", "gone", "loop", "to-file", "chain"];
    const more = ["through-link", "odd-dots", "missing", "real"];
    const answers = await survey([...names, ...more].map(state));
    expect(answers.map(resolves).join(" ")).toBe(
      "directory directory missing missing loop file directory directory file absent ",
    );
  });

  test("lists links and temporaries of ours, known names left out", async () => {
    const temporary = ".citadel-agent.0123456789abcdef01234567.tmp";
    writeFileSync(`${root}/${temporary}`, "");
    writeFileSync(`${root}/.citadel-agent.short.tmp`, "");
    const [answer] = await survey([{ kind: "entries", path: root, known: ["absolute", "gone"] }]);
    const names = answer?.kind === "entries" ? answer.entries.map(({ name }) => name) : [];
    expect(names).toContain(temporary);
    expect(names).toContain("loop");
    for (const name of ["absolute", "gone", "real", ".citadel-agent.short.tmp"]) {
      expect(names).not.toContain(name);
    }
  });

  test("reads small files only, and never through a link", async () => {
    symlinkSync(`${root}/real/file`, `${root}/text-link`);
    const [text, link, folder] = await survey([
      { kind: "text", path: `${root}/real/file` },
      { kind: "text", path: `${root}/text-link` },
      { kind: "text", path: `${root}/real` },
    ]);
    expect(text).toMatchObject({ kind: "text", text: "text" });
    expect(link).toMatchObject({ kind: "error", errno: "ELOOP" });
    expect(folder?.kind).toBe("error");
  });

  test("asks nothing itself that lies on another mount, or behind a link", () => {
    const table = `22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 8:2 / ${root}/real rw - ext4 /dev/sdb1 rw`;
    const view = createLocalView(parseMountinfo(table));
    expect(view.isSafe(`${root}/absolute`)).toBe(true); // the link itself
    expect(view.isSafe(`${root}/real`)).toBe(false);
    expect(view.isSafe(`${root}/real/inner`)).toBe(false);
    expect(view.isSafe(`${root}/absolute/inner`)).toBe(false);
    expect(view.mountpointOf(`${root}/real/inner`)).toBe(`${root}/real`);
    expect(view.mountpointOf(`${root}/realistic`)).toBe("/");
    expect(view.state(`${root}/absolute`)).toMatchObject({
      target: `${root}/real`,
      resolves: undefined,
    });
  });
});

describe("destination", () => {
  test("judges a target from the link's directory, and gives up where the text could lie", () => {
    expect(destination("/a/b/link", "/x/y")).toBe("/x/y");
    expect(destination("/a/b/link", "/x//y/")).toBe("/x/y");
    expect(destination("/a/b/link", "c")).toBe("/a/b/c");
    expect(destination("/a/b/link", "../c")).toBe("/a/c");
    expect(destination("/a/b/link", "../../../../c")).toBe("/c");
    expect(destination("/link", "./.hidden")).toBe("/.hidden");
    expect(destination("/a/b/link", "c/../d")).toBeUndefined();
    expect(destination("/a/b/link", "/x/../y")).toBeUndefined();
    expect(destination("/a/b/link", "..")).toBe("/a");
  });
});
