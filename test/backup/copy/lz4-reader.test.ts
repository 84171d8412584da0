// Reading LZ4 frames as a stream: of any size, in pieces of any size, with a bounded part of it in memory.

import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { lz4Compress } from "../../../src/backup/copy/lz4.ts";
import { lz4Decompress } from "../../../src/backup/copy/lz4-reader.ts";
import { readSnapshot, type FoundSnapshot } from "../../../src/backup/repository.ts";
import { restoreSnapshot } from "../../../src/backup/restore/restore.ts";
import { unpack } from "../../../src/backup/copy/unpack.ts";
import { verifySnapshot } from "../../../src/backup/verify/verify.ts";
import { systemClock } from "../../../src/system/index.ts";
import { openBackupWorld } from "../../support/create-snapshot.ts";

const mebibyte = 1024 * 1024;

/** Four MiB that a file could be made of: about a fifth of it shrinks. */
function content(): Buffer {
  const bytes = Buffer.alloc(4 * mebibyte);
  for (let at = 0; at < bytes.length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 52_000));
  }
  return bytes;
}

function* inPieces(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(stored: Iterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of lz4Decompress(stored)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

test("a packed file of more than 256 MiB is read, and never more than a few blocks of it are held", async () => {
  const original = content();
  const frame = lz4Compress(original);
  expect(frame.length).toBeLessThan(original.length * 0.9); // as the writer wants it
  const frames = Math.ceil((257 * mebibyte) / frame.length);
  let handedOut = 0;
  const stored = function* () {
    for (let at = 0; at < frames; at += 1) {
      for (const piece of inPieces(frame, mebibyte)) {
        handedOut += piece.length;
        yield piece;
      }
    }
  };
  let [got, most] = [0, 0];
  for await (const piece of unpack(stored(), "lz4", frames * original.length)) {
    if (
      !piece.equals(
        original.subarray(got % original.length, (got % original.length) + piece.length),
      )
    )
      throw new Error(`differs at ${got}`);
    got += piece.length;
    const used = Math.floor(got / original.length) * frame.length;
    most = Math.max(most, handedOut - used);
  }
  expect(handedOut).toBeGreaterThan(257 * mebibyte);
  expect(got).toBe(frames * original.length);
  expect(most).toBeLessThan(2 * mebibyte); // the piece in which the block ended, and no second one
}, 60_000);

test("the pieces that it comes in change nothing", async () => {
  const original = content().subarray(0, 300_001);
  const packed = Buffer.concat([
    lz4Compress(original),
    lz4Compress(Buffer.alloc(0)),
    lz4Compress(original),
  ]);
  const whole = Buffer.concat([original, original]);
  for (const size of [1, 7, 4096, packed.length]) {
    expect((await read(inPieces(packed, size))).equals(whole)).toBe(true);
  }
  expect(await read([])).toHaveLength(0);
});

test.skipIf(Bun.which("lz4") === null)(
  "frames of the lz4 tool are read: linked blocks, checksums, sizes",
  async () => {
    const original = Buffer.from("words that come again, and again words ".repeat(20_000));
    for (const options of [
      ["-B4", "-BD"],
      ["-B5", "-BD", "-BX", "--content-size"],
      ["-B7", "--no-frame-crc"],
      ["-9"],
    ]) {
      const packed = Bun.spawnSync(["lz4", "-zcq", ...options], { stdin: original }).stdout;
      expect((await read(inPieces(packed, 1000))).equals(original)).toBe(true);
    }
  },
);

test("a file of several frames is checked and restored, whatever it was packed with", async () => {
  using world = openBackupWorld();
  const original = Buffer.concat([content(), content(), content().subarray(0, 1_000_001)]);
  for (const method of ["lz4", "zstd"] as const) {
    const name = `${method}.log`;
    fs.writeFileSync(`${world.source}/${name}`, original);
    const made = await world.create({ type: "full", compression: { method, level: 1 } });
    expect(fs.readdirSync(`${made.directory}/packed`).length).toBeGreaterThan(0);
    const snapshot = readSnapshot(made.directory, "models") as FoundSnapshot;
    const full = { mode: "full", cached: false, sampleRate: 1, seed: 0, cores: 2 } as const;
    const report = await verifySnapshot(snapshot, full, { clock: systemClock });
    expect(report).toMatchObject({ valid: true, isWhole: true });
    const to = `${world.root}/restored-${method}`;
    const options = { to, globs: [], privileged: false, isRoot: false };
    const restored = await restoreSnapshot(snapshot, options, { clock: systemClock });
    expect(restored.failed).toEqual([]);
    expect(fs.readFileSync(`${to}/${name}`).equals(original)).toBe(true);
  }
}, 60_000);

test("what ends early, or is none, is damaged and never taken for the whole", async () => {
  const packed = lz4Compress(content().subarray(0, 100_000));
  for (const end of [1, 5, 6, 7, 9, 11, 5000, packed.length - 4, packed.length - 1]) {
    const cut = read(inPieces(packed.subarray(0, end), 512));
    expect(cut).rejects.toMatchObject({ code: "PACKED_DAMAGED", kind: "integrity" });
  }
  const flipped = Buffer.from(packed);
  flipped[5] = (flipped[5] ?? 0) ^ 0x10;
  expect(read([flipped])).rejects.toMatchObject({ code: "PACKED_DAMAGED" });
  const huge = Buffer.from(packed);
  huge.writeUInt32LE(0x7fff_ffff, 7); // a block of 2 GiB
  expect(read([huge])).rejects.toMatchObject({ code: "PACKED_DAMAGED" });
});
