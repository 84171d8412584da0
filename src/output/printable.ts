// Names are bytes that others chose: before they reach a terminal, control characters become visible escapes.

// C0, DEL and C1 controls, line and paragraph separators, and the marks that reorder text (Unicode TR 36).
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const dangerous = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
// What our own text may hold: newline, tab, and colour sequences (ECMA-48 SGR).
// oxlint-disable-next-line no-control-regex
const ours = /\n|\t|\u001b\[[\d;]*m/g;

const layout = /\n|\t/g;

const names: Record<string, string> = { "\n": "\\n", "\t": "\\t", "\r": "\\r", "\u001b": "\\e" };

function escapeCharacter(character: string): string {
  const code = character.charCodeAt(0);
  const hex = code.toString(16);
  return (
    names[character] ?? (code < 0x100 ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`)
  );
}

/** A file name, path or message of others as one safe piece of a line: `a\nb` shows the two characters `\n`. */
export function printable(name: string): string {
  return name.replace(dangerous, escapeCharacter);
}

/**
 * The last net under whole texts of ours: keeps newlines, tabs and colours, escapes every other control.
 * @param mayColour false where nothing of ours is coloured: then what looks like a colour is of others
 */
export function sanitizeText(text: string, mayColour = true): string {
  let result = "";
  let from = 0;
  for (const match of text.matchAll(mayColour ? ours : layout)) {
    result += printable(text.slice(from, match.index)) + match[0];
    from = match.index + match[0].length;
  }
  return result + printable(text.slice(from));
}

/**
 * A name for a JSON document: as text, and as base64 of its bytes where it is not UTF-8.
 * @returns `{path}` or `{path, path_b64}`, under the given key
 */
export function nameFields<K extends string = "path">(
  name: string | Uint8Array,
  key: K = "path" as K,
): Record<string, string> {
  if (typeof name === "string") return { [key]: name };
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(name); // what is not UTF-8 becomes U+FFFD
  const bytes = Buffer.from(name);
  return Buffer.from(text).equals(bytes)
    ? { [key]: text }
    : { [key]: text, [`${key}_b64`]: bytes.toString("base64") };
}
