// Unpacks a compressed file as a stream, bounded by the size that the manifest promises.

import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { CitadelError, messageOf } from "../core/index.ts";
import { lz4Decompress } from "./copy/lz4-reader.ts";
import type { PackMethod } from "./format/manifest.ts";

/**
 * Yields the original bytes.
 * @param limitBytes more than this many bytes end it: a bomb, or damage
 * @throws kind `integrity`, codes `PACKED_FILE_DAMAGED`, `PACKED_DAMAGED`
 */
export async function* unpack(
  stored: Iterable<Buffer> | AsyncIterable<Buffer>,
  method: PackMethod,
  limitBytes: number,
): AsyncGenerator<Buffer> {
  if (method === "lz4") {
    yield* unpackLz4(stored, limitBytes);
    return;
  }
  const decoder = openDecoder(method);
  const source = Readable.from(stored, { objectMode: false, highWaterMark: 1 << 20 });
  source.on("error", (error) => decoder.destroy(error));
  source.pipe(decoder);
  let size = 0;
  try {
    for await (const piece of decoder as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > limitBytes) throw new Error("longer than the original was");
      yield piece;
    }
  } catch (thrown) {
    if (thrown instanceof CitadelError) throw thrown;
    throw damaged(messageOf(thrown), thrown);
  } finally {
    source.destroy();
    decoder.destroy();
  }
}

function openDecoder(
  method: Exclude<PackMethod, "lz4">,
): NodeJS.ReadWriteStream & { destroy(error?: Error): unknown } {
  return method === "zstd" ? createZstdDecompress() : createGunzip();
}

async function* unpackLz4(
  stored: Iterable<Buffer> | AsyncIterable<Buffer>,
  limitBytes: number,
): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const piece of lz4Decompress(stored)) {
    size += piece.length;
    if (size > limitBytes) throw damaged("longer than the original was");
    yield piece;
  }
}

function damaged(why: string, cause?: unknown): CitadelError {
  return new CitadelError({
    kind: "integrity",
    code: "PACKED_FILE_DAMAGED",
    message: `cannot unpack: ${why}`,
    hint: "restore this file from another snapshot, or heal it with `citadel-agent backup repair`",
    cause,
  });
}
