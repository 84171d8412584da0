import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { comingDownloadBytes } from "../../src/models/downloads.ts";

let dir: string;
beforeAll(() => {
  dir = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/downloads-`));
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const stored = (path: string) => fs.statSync(path).blocks * 512;

test("an index of shards tells what a running download still writes; one that rests is not coming", () => {
  const model = `${dir}/sharded/org/model`;
  fs.mkdirSync(`${model}/.cache/huggingface/download`, { recursive: true });
  const index = { metadata: { total_size: 1_000_000 }, weight_map: { a: "model-1.safetensors" } };
  fs.writeFileSync(`${model}/model.safetensors.index.json`, JSON.stringify(index));
  const shard = `${model}/model-1.safetensors`;
  const rest = `${model}/.cache/huggingface/download/b.incomplete`;
  fs.writeFileSync(shard, Buffer.alloc(100_000, 1));
  fs.writeFileSync(rest, Buffer.alloc(50_000, 1));
  const expected = 1_000_000 - stored(shard) - stored(rest);
  expect(comingDownloadBytes(`${dir}/sharded`, Date.now())).toBe(expected);
  expect(comingDownloadBytes(`${dir}/sharded`, Date.now() + 3_600_000)).toBe(0);
});

test("a file that was given its size in advance counts by what is not there; one of unknown length by nothing", () => {
  const place = `${dir}/sparse`;
  fs.mkdirSync(place);
  fs.writeFileSync(`${place}/model.gguf`, Buffer.alloc(4096, 1));
  fs.truncateSync(`${place}/model.gguf`, 1_000_000);
  fs.writeFileSync(`${place}/growing.incomplete`, Buffer.alloc(4096, 1));
  fs.writeFileSync(`${place}/broken.safetensors.index.json`, "{");
  const coming = comingDownloadBytes(place, Date.now());
  expect(coming).toBe(1_000_000 - stored(`${place}/model.gguf`));
  expect(coming).toBeGreaterThan(900_000);
});
