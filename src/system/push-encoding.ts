// How a push is packed and signed.

/** gzip; the same input gives the same bytes. */
export function gzip(text: string): Uint8Array<ArrayBuffer> {
  return Bun.gzipSync(text);
}

/** HMAC-SHA256, lower-case hex. */
export function signHmacSha256(key: string, data: Uint8Array): string {
  return new Bun.CryptoHasher("sha256", key).update(data).digest("hex");
}

/** Compares two texts in a time that does not tell where they differ. */
export function equalSecrets(a: string, b: string): boolean {
  const digest = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest();
  const [left, right] = [digest(a), digest(b)];
  let difference = 0;
  for (let at = 0; at < left.length; at += 1) difference |= (left[at] ?? 0) ^ (right[at] ?? 0);
  return difference === 0;
}
