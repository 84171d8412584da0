// Trees and plans for the crash tests: each scenario furnishes a host and plans from what it finds, so that the same
// plan can be applied again after a kill.

import * as fs from "node:fs";
import type { Operation } from "../../src/transaction/index.ts";
import { absolutePath, joinPath, type AbsolutePath } from "../../src/core/index.ts";
import * as op from "./operations.ts";

export interface Scenario {
  /** Makes the first state of the host; `data` is there and empty. */
  furnish(data: AbsolutePath): void;
  /** The operations that are still to be done. */
  operations(data: AbsolutePath): Operation[];
}

const linkCount = 12;

const links: Scenario = {
  furnish(data) {
    for (let at = 0; at < linkCount; at += 1) fs.symlinkSync(`/old/${at}`, `${data}/link${at}`);
  },
  operations(data) {
    return Array.from({ length: linkCount }, (_, at) => joinPath(data, `link${at}`)).flatMap(
      (path, at) =>
        fs.readlinkSync(path) === `/new/${at}`
          ? []
          : [op.replaceLink(path, `/old/${at}`, `/new/${at}`)],
    );
  },
};

/** One of nearly everything, each in the way a kill could leave it half done. */
const mixed: Scenario = {
  furnish(data) {
    fs.mkdirSync(`${data}/modes`, { mode: 0o755 });
    fs.symlinkSync("/old", `${data}/replaced`);
    fs.symlinkSync("/gone", `${data}/removed`);
    fs.writeFileSync(`${data}/written`, "former", { mode: 0o640 });
    fs.writeFileSync(`${data}/deleted`, "content");
    fs.mkdirSync(`${data}/empty`, { mode: 0o711 });
    fs.mkdirSync(`${data}/aside/inner`, { recursive: true });
    fs.writeFileSync(`${data}/aside/inner/file`, "x");
  },
  operations(data) {
    if (fs.existsSync(`${data}/made`)) return [];
    const at = (name: string) => joinPath(data, name);
    return [
      op.makeDir(at("made"), 0o2775),
      op.makeDir(at("made/inner"), 0o700),
      op.setMode(at("modes"), 0o755, 0o1777),
      op.createLink(at("made/link"), "/new"),
      op.replaceLink(at("replaced"), "/old", "/new"),
      op.removeLink(at("removed"), "/gone"),
      op.moveAside(at("aside"), at("aside.1"), { type: "directory" }),
      op.createLink(at("aside"), "/new"),
      op.writeFile(at("written"), "new", { before: { type: "file" }, backupName: "written.orig" }),
      op.writeFile(at("made/file"), "fresh"),
      op.removeFile(at("deleted")),
      op.removeDir(at("empty")),
    ];
  },
};

/** @param target where the content goes; on another file system it is copied */
function adopting(target: (data: AbsolutePath) => AbsolutePath): Scenario {
  return {
    furnish(data) {
      fs.mkdirSync(target(data), { recursive: true });
      fs.mkdirSync(`${data}/original/sub/deep`, { recursive: true });
      fs.writeFileSync(`${data}/original/one`, "one", { mode: 0o640 });
      fs.writeFileSync(`${data}/original/sub/two`, Buffer.alloc(100_000, 2));
      fs.symlinkSync("two", `${data}/original/sub/link`);
      fs.writeFileSync(`${data}/original/shared`, "equal");
      fs.writeFileSync(`${target(data)}/shared`, "equal");
    },
    operations(data) {
      const path = joinPath(data, "original");
      if (fs.lstatSync(path).isSymbolicLink()) return [];
      const to = target(data);
      return [
        {
          op: "adopt",
          path,
          to,
          why: "a directory stands where a link belongs",
          before: { type: "directory" },
          after: { type: "link", target: to },
        },
      ];
    },
  };
}

/** On /dev/shm, another file system than the temporary directory; one directory for each test process's data. */
export const shmTarget = (data: AbsolutePath) =>
  absolutePath(`/dev/shm/citadel-crash-${Bun.hash(data).toString(36)}`);

export const scenarios = {
  links,
  mixed,
  adopt: adopting((data) => joinPath(data, "target")),
  "adopt-copy": adopting(shmTarget),
} as const;

export type ScenarioName = keyof typeof scenarios;
