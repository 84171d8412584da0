// Compression of stored files: every 4 MiB is a frame of its own, one after another, so that memory stays bounded and
// `zstd -d`, `gzip -d` and `lz4 -d` read the file as it is (all three take concatenated frames).

import type { PackMethod } from "../format/index.ts";
import { lz4Compress } from "./lz4.ts";

/** How much of the original each frame holds. */
export const frameBytes = 4 * 1024 * 1024;

/** A file is stored compressed if that takes at most this share of it. */
export const worthwhileRatio = 0.9;

/** The allocation unit below which nothing is saved on a disk. */
const diskBlockBytes = 4096;

/** Model weights and what is compressed already: read by engines in place, or sure to gain nothing. */
const plainExtensions =
  /\.(?:safetensors|gguf|ggml|bin|pt|pth|ckpt|onnx|npy|npz|h5|msgpack|tflite|engine|zst|zstd|gz|tgz|bz2|xz|lz4|zip|7z|jpe?g|png|webp|mp4|mp3|parquet|whl|jar)$/i;

/** Whether the name speaks against compression. */
export function staysPlain(path: string): boolean {
  return plainExtensions.test(path);
}

/** Compresses up to one frame. */
export function compressFrame(input: Uint8Array, method: PackMethod, level: number): Uint8Array {
  switch (method) {
    case "zstd":
      return Bun.zstdCompressSync(input as Uint8Array<ArrayBuffer>, { level: clamp(level, 1, 22) });
    case "gzip":
      return Bun.gzipSync(input as Uint8Array<ArrayBuffer>, { level: clamp(level, 1, 9) as 1 });
    case "lz4":
      return lz4Compress(input);
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(Math.round(value), low), high);
}

/** Whether storing `packedBytes` instead of `originalBytes` saves at least a tenth, and a block of the disk. */
export function isWorthwhile(packedBytes: number, originalBytes: number): boolean {
  const blocks = (bytes: number) => Math.ceil(bytes / diskBlockBytes);
  return (
    packedBytes <= originalBytes * worthwhileRatio && blocks(packedBytes) < blocks(originalBytes)
  );
}
