// SHA-256 of the files that the planner reads and writes.

/** @returns lower-case hex */
export function sha256(content: string | Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(content).digest("hex");
}
