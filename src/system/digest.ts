// SHA-256 of small things at once; files are hashed where they are read.

/** @returns lower-case hex */
export function sha256Hex(content: string | Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(content).digest("hex");
}
