// Unpacks a compressed file as a stream, bounded by the size that the manifest promises.

import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { CitadelError, messageOf } from "../../core/index.ts";
import { collectGrownMemory } from "../../system/memory.ts";
import { lz4Decompress } from "./lz4-reader.ts";
import type { PackMethod } from "../format/manifest.ts";

/** Unpacking leaves buffers behind that the collector does not see the size of: looked at after so many bytes. */
const bytesPerLook = 32 * 1024 * 1024;

/**
 * Yields the original bytes; each piece is valid until the next is asked for.
 * @param limitBytes more than this many bytes end it: a bomb, or damage
 * @throws kind `integrity`, codes `PACKED_FILE_DAMAGED`, `PACKED_DAMAGED`
 */
export async function* unpack(
  stored: Iterable<Buffer> | AsyncIterable<Buffer>,
  method: PackMethod,
  limitBytes: number,
): AsyncGenerator<Buffer> {
  let size = 0;
  let looked = 0;
  const pieces = method === "lz4" ? lz4Decompress(stored) : decode(stored, method);
  for await (const piece of pieces) {
    size += piece.length;
    if (size > limitBytes) throw damaged("longer than the original was");
    yield piece;
    if (size - looked < bytesPerLook) continue;
    looked = size;
    collectGrownMemory();
  }
}

async function* decode(
  stored: Iterable<Buffer> | AsyncIterable<Buffer>,
  method: Exclude<PackMethod, "lz4">,
): AsyncGenerator<Buffer> {
  const decoder = openDecoder(method);
  const source = Readable.from(stored, { objectMode: false, highWaterMark: 1 << 20 });
  source.on("error", (error) => decoder.destroy(error));
  source.pipe(decoder);
  try {
    for await (const piece of decoder as AsyncIterable<Buffer>) yield piece;
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

function damaged(why: string, cause?: unknown): CitadelError {
  return new CitadelError({
    kind: "integrity",
    code: "PACKED_FILE_DAMAGED",
    message: `cannot unpack: ${why}`,
    hint: "restore this file from another snapshot, or heal it with `citadel-agent backup repair`",
    cause,
  });
}
