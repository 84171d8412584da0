import { afterAll, describe, expect, test } from "bun:test";
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import type { AbsolutePath } from "../../src/core/index.ts";
import { verifyModelQuick } from "../../src/models/verify-quick.ts";
import { headerLengthProblem, headerProblem } from "../../src/models/safetensors.ts";

const root = mkdtempSync(`${tmpdir()}/citadel-models-`);
afterAll(() => rmSync(root, { recursive: true, force: true }));
let serial = 0;

function modelDirectory(): AbsolutePath {
  serial += 1;
  const path = `${root}/m${serial}`;
  mkdirSync(path);
  return path as AbsolutePath;
}

/** A safetensors file of one tensor. */
function shard(path: string, dataBytes = 1000): void {
  const header = JSON.stringify({
    __metadata__: { format: "pt" },
    w: { dtype: "U8", shape: [dataBytes], data_offsets: [0, dataBytes] },
  });
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(path, Buffer.concat([prefix, Buffer.from(header), Buffer.alloc(dataBytes, 7)]));
}

const verify = (path: AbsolutePath) => verifyModelQuick("m", path, undefined);

describe("verifyModelQuick", () => {
  test("a whole model: files and bytes counted, hard links once, shards checked", () => {
    const path = modelDirectory();
    shard(`${path}/model-00001-of-00002.safetensors`);
    shard(`${path}/model-00002-of-00002.safetensors`);
    linkSync(`${path}/model-00001-of-00002.safetensors`, `${path}/same`);
    const map = { a: "model-00001-of-00002.safetensors", b: "model-00002-of-00002.safetensors" };
    const index = JSON.stringify({ weight_map: map });
    writeFileSync(`${path}/model.safetensors.index.json`, index);
    const report = verify(path);
    expect(report).toMatchObject({ state: "ok", files: 4, checked: 2, problems: [] });
    const one = Bun.file(`${path}/same`).size;
    expect(report.bytes).toBe(2 * one + index.length);
  });

  test("a shard that lacks its last byte is found", () => {
    const path = modelDirectory();
    shard(`${path}/model.safetensors`);
    const size = Bun.file(`${path}/model.safetensors`).size;
    truncateSync(`${path}/model.safetensors`, size - 1);
    const report = verify(path);
    expect(report.state).toBe("damaged");
    expect(report.problems).toEqual([`model.safetensors: truncated: ${size - 1} bytes of ${size}`]);
  });

  test("a shard that the index names and nobody has is found", () => {
    const path = modelDirectory();
    shard(`${path}/model-00001-of-00002.safetensors`);
    const map = { a: "model-00001-of-00002.safetensors", b: "model-00002-of-00002.safetensors" };
    writeFileSync(`${path}/model.safetensors.index.json`, JSON.stringify({ weight_map: map }));
    expect(verify(path).problems).toEqual([
      "model-00002-of-00002.safetensors: missing, the index names it",
    ]);
  });

  test("snapshot links are followed to their blobs, dangling ones found", () => {
    const path = modelDirectory();
    mkdirSync(`${path}/blobs`);
    mkdirSync(`${path}/snapshots`);
    shard(`${path}/blobs/abc`);
    symlinkSync("../blobs/abc", `${path}/snapshots/model.safetensors`);
    expect(verify(path)).toMatchObject({ state: "ok", checked: 1 });
    rmSync(`${path}/blobs/abc`);
    expect(verify(path).problems[0]).toContain("a link that leads nowhere");
  });

  test("a model behind a link in the active directory is looked at where it lies", () => {
    const path = modelDirectory();
    shard(`${path}/model.safetensors`);
    symlinkSync(path, `${path}-link`);
    const report = verify(`${path}-link` as AbsolutePath);
    expect(report).toMatchObject({ state: "ok", files: 1, checked: 1, problems: [] });
    truncateSync(`${path}/model.safetensors`, 500);
    expect(verify(`${path}-link` as AbsolutePath).state).toBe("damaged");
  });

  test("absent, empty and not a directory are told apart", () => {
    const path = modelDirectory();
    expect(verify(path).state).toBe("empty");
    expect(verify(`${path}/none` as AbsolutePath).state).toBe("missing");
    writeFileSync(`${path}/file`, "");
    expect(verify(`${path}/file` as AbsolutePath).problems).toEqual(["a file, not a directory"]);
  });

  test("a header length of nonsense reads nothing large", () => {
    const path = modelDirectory();
    writeFileSync(`${path}/x.safetensors`, Buffer.alloc(100, 0xff));
    expect(verify(path).problems[0]).toContain("is impossible");
  });
});

describe("safetensors headers", () => {
  const tensors = (...ranges: [number, number][]) =>
    JSON.stringify(
      Object.fromEntries(ranges.map((range, at) => [`t${at}`, { data_offsets: range }])),
    );
  test.each([
    [tensors([0, 4], [4, 8]), 8, undefined],
    [tensors([4, 8], [0, 4]), 8, undefined],
    [tensors([0, 4], [5, 8]), 8, "hole"],
    [tensors([0, 5], [4, 8]), 8, "overlap"],
    [tensors([0, 4]), 8, "too long"],
    [tensors([0, 9]), 8, "truncated"],
    ["[]", 0, "no JSON"],
    ["{", 0, "no JSON"],
    ['{"a": {"data_offsets": [0, "8"]}}', 8, "no JSON"],
    ['{"a": {"data_offsets": [-1, 8]}}', 8, "no JSON"],
    ["{}", 0, undefined],
  ])("%s with %d data bytes: %p", (header, dataBytes, problem) => {
    const found = headerProblem(header, header.length, 8 + header.length + dataBytes);
    if (problem === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(problem);
  });

  test("a header longer than the file is truncation", () => {
    expect(headerLengthProblem(1000n, 100)).toContain("truncated");
    expect(headerLengthProblem(10n, 100)).toBeUndefined();
  });
});
