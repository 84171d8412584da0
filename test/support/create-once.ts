// A process that makes one snapshot, for tests that kill it: bun create-once.ts SOURCE REPOSITORY [TYPE]

import { createSnapshot } from "../../src/backup/create/create-snapshot.ts";
import { createSystem } from "../../src/system/index.ts";
import { createOptions } from "./create-snapshot.ts";

const [source = "", repository = "", type = "incremental"] = process.argv.slice(2);
const report = await createSnapshot(
  { ...createOptions(source, repository), type: type === "full" ? "full" : "incremental" },
  { system: createSystem(), signal: new AbortController().signal, onProgress: () => {} },
);
console.log(JSON.stringify(report));
