// Unpacks a compressed file as a stream, bounded by the size that the manifest promises.

import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { CitadelError, messageOf } from "../core/index.ts";
import { lz4Decompress } from "./copy/lz4.ts";
import type { PackMethod } from "./format/manifest.ts";

/**
 * Yields the original bytes.
 * @param limitBytes more than this many bytes end it: a bomb, or damage
 * @throws kind `integrity`, code `PACKED_FILE_DAMAGED`; kind `unsupported` for a method that this build cannot read
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

/** The reader of lz4 takes a file in one piece; bigger ones are for the tool. */
const maxLz4Bytes = 256 * 1024 * 1024;

async function* unpackLz4(
  stored: Iterable<Buffer> | AsyncIterable<Buffer>,
  limitBytes: number,
): AsyncGenerator<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of stored) {
    length += piece.length;
    if (length > maxLz4Bytes) {
      throw new CitadelError({
        kind: "unsupported",
        code: "PACK_METHOD_UNSUPPORTED",
        message: "this file is too large for our lz4 reader (256 MiB packed)",
        hint: "unpack the file with lz4(1); docs/formats/snapshot.md says how",
      });
    }
    pieces.push(piece);
  }
  let size = 0;
  for (const piece of lz4Decompress(Buffer.concat(pieces))) {
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
