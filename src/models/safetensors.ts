// The head of a safetensors file: 8 bytes little-endian header length, a JSON header, then the data. Whether a file
// is whole is proved from the head and the size alone.
// Format: https://github.com/huggingface/safetensors#format

/** Longest header that the reference implementation accepts (100 MB, safetensors/src/tensor.rs). */
export const maxHeaderBytes = 100_000_000;

/** What is wrong with a length prefix; undefined: it can be. */
export function headerLengthProblem(headerBytes: bigint, fileBytes: number): string | undefined {
  if (headerBytes > BigInt(maxHeaderBytes)) return `header length ${headerBytes} is impossible`;
  const end = 8 + Number(headerBytes);
  return end > fileBytes ? `truncated: the header alone needs ${end} bytes` : undefined;
}

/**
 * Checks the tensors' offsets against the size of the file.
 * @param header the JSON text
 * @returns what is wrong: truncated, too long, a hole, an overlap, no JSON; undefined: nothing
 */
export function headerProblem(
  header: string,
  headerBytes: number,
  fileBytes: number,
): string | undefined {
  let tensors: [number, number][];
  try {
    tensors = offsetsOf(JSON.parse(header) as unknown);
  } catch {
    return "the header is no JSON of tensors";
  }
  tensors.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let end = 0;
  for (const [from, to] of tensors) {
    if (from > end) return `a hole between tensors at offset ${end}`;
    if (from < end) return `tensors overlap at offset ${from}`;
    end = to;
  }
  const wanted = 8 + headerBytes + end;
  if (fileBytes < wanted) return `truncated: ${fileBytes} bytes of ${wanted}`;
  return fileBytes > wanted ? `${fileBytes - wanted} bytes too long` : undefined;
}

function offsetsOf(header: unknown): [number, number][] {
  if (header === null || typeof header !== "object" || Array.isArray(header)) throw new TypeError();
  return Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([, tensor]) => {
      const offsets = (tensor as { data_offsets?: unknown }).data_offsets;
      const [from, to] = Array.isArray(offsets) ? (offsets as unknown[]) : [];
      const isRange = Number.isSafeInteger(from) && Number.isSafeInteger(to);
      if (!isRange || (from as number) < 0 || (to as number) < (from as number))
        throw new TypeError();
      return [from as number, to as number];
    });
}

/** The shards that `model.safetensors.index.json` names; undefined: it is no such index. */
export function shardsOf(index: string): string[] | undefined {
  try {
    const { weight_map } = JSON.parse(index) as { weight_map?: Record<string, unknown> };
    if (weight_map === undefined || weight_map === null) return undefined;
    const names = Object.values(weight_map).filter((name) => typeof name === "string");
    return [...new Set(names)].sort();
  } catch {
    return undefined;
  }
}
