// XXH3 in pieces against Bun's own of the whole, which the xxhsum of a Debian host agrees with (snapshot.test.ts).

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { assembledModule } from "../../scripts/wasm.ts";
import { openXxh3, xxh3Of } from "../../src/backup/xxh3/xxh3.ts";

const bufferBytes = 256 * 1024;
const stream = openXxh3();
const content = Buffer.alloc(5 * bufferBytes);
for (let at = 0; at < content.length; at += 65_536) {
  crypto.getRandomValues(content.subarray(at, at + 65_536));
}

/** Hashes content in pieces of a length that changes. */
function inPieces(part: Buffer, pieceBytes: () => number): string {
  for (let at = 0; at < part.length;) {
    const length = pieceBytes();
    stream.update(part.subarray(at, at + length));
    at += length;
  }
  return stream.digest();
}

test("every length around the edges of stripes, blocks and the buffer", () => {
  const lengths = new Set([0, 1, 2, 240, 241]);
  for (const edge of [0, bufferBytes, 2 * bufferBytes, 4 * bufferBytes]) {
    for (const further of [0, 64, 128, 1024, 2048, bufferBytes]) {
      for (let off = -66; off <= 130; off += 1) lengths.add(edge + further + off);
    }
  }
  for (const length of lengths) {
    if (length < 0 || length > content.length) continue;
    const part = content.subarray(0, length);
    expect([length, inPieces(part, () => 100_000)]).toEqual([length, xxh3Of(part)]);
  }
});

test("pieces of any length, one content after another", () => {
  for (let round = 0; round < 300; round += 1) {
    const from = Math.floor(Math.random() * bufferBytes);
    const part = content.subarray(from, from + Math.floor(Math.random() * 4 * bufferBytes));
    const hash = inPieces(part, () => 1 + Math.floor(Math.random() ** 4 * 2 * bufferBytes));
    expect(hash).toBe(xxh3Of(part));
  }
});

test("what is put into its room is hashed where it lies, and what is forgotten does not count", () => {
  stream.update(content);
  stream.forget();
  for (let at = 0; at < content.length;) {
    const { room } = stream;
    expect(room.byteOffset % 4096).toBe(0); // as O_DIRECT wants it
    at += content.copy(room, 0, at);
    stream.put(room.length);
  }
  expect(stream.digest()).toBe(xxh3Of(content));
});

test("on a processor without vectors it hashes the same by Bun's own", () => {
  const script = `import { openXxh3, xxh3Of } from "${import.meta.dir}/../../src/backup/xxh3/xxh3.ts";
    const content = Buffer.alloc(700_001, "weights");
    const stream = openXxh3();
    for (let round = 0; round < 2; round += 1) {
      stream.update(content.subarray(0, 300_000));
      content.copy(stream.room, 0, 300_000, 300_100);
      stream.put(100);
      stream.update(content.subarray(300_100));
      console.log(stream.constructor.name, stream.digest() === xxh3Of(content));
    }`;
  const kinds = ["VectorXxh3", "WholeXxh3"].map((kind, at) => {
    const env = { ...process.env, BUN_JSC_useWasmSIMD: String(1 - at) };
    const run = Bun.spawnSync([process.execPath, "-e", script], { env });
    expect(run.stdout.toString()).toBe(`${kind} true\n`.repeat(2));
    return kind;
  });
  expect(kinds).toHaveLength(2);
});

test("the module in the sources is the one that xxh3.wat describes", async () => {
  const path = `${import.meta.dir}/../../src/backup/xxh3/xxh3-wasm.ts`;
  expect(readFileSync(path, "utf8")).toBe(await assembledModule());
});
