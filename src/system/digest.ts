// SHA-256 of small things at once; files are hashed where they are read.

import { createHash } from "node:crypto";

/** @returns lower-case hex */
export function sha256Hex(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
