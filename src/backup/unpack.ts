// Unpacks a compressed file as a stream, bounded by the size that the manifest promises.

import { PassThrough, Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { CitadelError, messageOf } from "../core/index.ts";
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
    throw new CitadelError({
      kind: "integrity",
      code: "PACKED_FILE_DAMAGED",
      message: `cannot unpack: ${messageOf(thrown)}`,
      hint: "restore this file from another snapshot, or heal it with `citadel-agent backup repair`",
      cause: thrown,
    });
  } finally {
    source.destroy();
    decoder.destroy();
  }
}

function openDecoder(
  method: PackMethod,
): NodeJS.ReadWriteStream & { destroy(error?: Error): unknown } {
  if (method === "zstd") return createZstdDecompress();
  if (method === "gzip") return createGunzip();
  if (method === "lz4") {
    throw new CitadelError({
      kind: "unsupported",
      code: "PACK_METHOD_UNSUPPORTED",
      message: "this build cannot unpack lz4",
      hint: "unpack the file with lz4(1); docs/formats/snapshot.md says how",
    });
  }
  return new PassThrough();
}
