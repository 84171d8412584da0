// Logs lie in a directory of the service user's: what he puts there must not lead root anywhere else.

import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import type { AbsolutePath } from "../../src/core/index.ts";
import { archiveFile, listRegularFiles } from "../../src/system/archive-file.ts";
import { readLogEnd } from "../../src/system/log-end.ts";
import { pinBelow, pinDirectory } from "../../src/system/pinned-directory.ts";

function world() {
  const root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/citadel-security-`));
  for (const name of ["app/logs", "victim", "backup"])
    fs.mkdirSync(`${root}/${name}`, { recursive: true });
  fs.writeFileSync(`${root}/victim/shadow`, "root's secret");
  fs.writeFileSync(`${root}/app/logs/old.log`, "a line\n");
  const [logs, victim] = [`${root}/app/logs` as AbsolutePath, `${root}/victim`];
  return { root, logs, victim, [Symbol.dispose]: () => fs.rmSync(root, { recursive: true }) };
}

test("a log directory that became a link is refused, and nothing behind it is touched", () => {
  using place = world();
  fs.renameSync(place.logs, `${place.logs}.aside`);
  fs.symlinkSync(place.victim, place.logs);
  expect(() => pinDirectory(place.logs)).toThrow(
    expect.objectContaining({ code: "SYMLINK_IN_PATH" }),
  );
  expect(() => readLogEnd(place.logs, "shadow", 100)).toThrow(
    expect.objectContaining({ code: "SYMLINK_IN_PATH" }),
  );
});

test("a log directory swapped after it was opened changes nothing: the opened one is worked in", () => {
  using place = world();
  using from = pinDirectory(place.logs);
  using backup = pinDirectory(`${place.root}/backup` as AbsolutePath);
  using into = pinBelow(backup, ["system", "logs"], true);
  if (into === undefined) throw new Error("not made");
  const [found] = listRegularFiles(from);
  fs.renameSync(place.logs, `${place.logs}.aside`);
  fs.symlinkSync(place.victim, place.logs);
  fs.writeFileSync(`${place.victim}/old.log`, "must stay");
  archiveFile(from, found?.name ?? "", into, "old.log.gz", 1000);
  expect(fs.readFileSync(`${place.victim}/old.log`, "utf8")).toBe("must stay");
  expect(fs.existsSync(`${place.logs}.aside/old.log`)).toBe(false);
  const packed = fs.readFileSync(`${place.root}/backup/system/logs/old.log.gz`);
  expect(Buffer.from(Bun.gunzipSync(packed)).toString()).toBe("a line\n");
});

test.each([
  ["a link", (path: string, victim: string) => fs.symlinkSync(`${victim}/shadow`, path)],
  ["a hard link", (path: string, victim: string) => fs.linkSync(`${victim}/shadow`, path)],
  ["a FIFO", (path: string) => void Bun.spawnSync(["mkfifo", path])],
  ["a directory", (path: string) => fs.mkdirSync(path)],
])("%s in the place of a log is neither read nor archived", (_, plant) => {
  using place = world();
  fs.rmSync(`${place.logs}/old.log`);
  plant(`${place.logs}/old.log`, place.victim);
  expect(() => readLogEnd(place.logs, "old.log", 100)).toThrow(
    expect.objectContaining({ code: "LOG_NOT_PLAIN" }),
  );
  using from = pinDirectory(place.logs);
  using into = pinDirectory(`${place.root}/backup` as AbsolutePath);
  expect(listRegularFiles(from)).toEqual([]);
  expect(() => archiveFile(from, "old.log", into, "x.gz", 1000)).toThrow(
    expect.objectContaining({ code: "LOG_CHANGED" }),
  );
  expect(fs.readdirSync(`${place.root}/backup`)).toEqual([]);
  expect(fs.readFileSync(`${place.victim}/shadow`, "utf8")).toBe("root's secret");
});

test("readLogEnd reads no more than the end of a huge log", () => {
  using place = world();
  fs.truncateSync(`${place.logs}/old.log`, 1024 ** 4);
  const text = readLogEnd(place.logs, "old.log", 1000);
  expect(text?.length).toBeLessThan(1100);
});
