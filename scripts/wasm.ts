// Assembles src/backup/xxh3/xxh3.wat and writes src/backup/xxh3/xxh3-wasm.ts, which holds the module as text: so it is in the binary
// without a file of its own. A test says when the two differ.
// Usage: bun scripts/wasm.ts

import wabt from "wabt";

const folder = `${import.meta.dir}/../src/backup/xxh3`;

/** The source text of xxh3-wasm.ts. */
export async function assembledModule(): Promise<string> {
  const text = await Bun.file(`${folder}/xxh3.wat`).text();
  const { parseWat } = await wabt();
  const { buffer } = parseWat("xxh3.wat", text, { simd: true }).toBinary({});
  const encoded = Buffer.from(buffer).toString("base64");
  const lines = (encoded.match(/.{1,90}/g) ?? []).map((line) => `  "${line}"`);
  return (
    "// Written by scripts/wasm.ts from xxh3.wat: do not edit.\n\n" +
    `export const xxh3Module =\n${lines.join(" +\n")};\n`
  );
}

if (import.meta.main) await Bun.write(`${folder}/xxh3-wasm.ts`, await assembledModule());
