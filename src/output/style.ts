// Colours and tables for the terminal. Colour never carries a meaning alone: the word is always there.

import { printable } from "./printable.ts";

export type Tone = "ok" | "warning" | "critical" | "unknown" | "dim" | "strong" | "accent";

export interface Style {
  readonly colour: boolean;
  /** Width of the terminal; undefined where nobody looks: then lines may be as long as they are. */
  readonly columns: number | undefined;
  paint(tone: Tone, text: string): string;
  /** Aligns columns; numbers (by `align`) to the right. Width is counted in terminal columns. */
  table(
    rows: readonly (readonly string[])[],
    options?: {
      header?: readonly string[];
      align?: readonly ("left" | "right")[];
      indent?: number;
    },
  ): string;
}

const codes: Record<Tone, string> = {
  ok: "32",
  warning: "33",
  critical: "31",
  unknown: "35",
  dim: "2",
  strong: "1",
  accent: "36",
};

/** Whether every line of a text fits the terminal. */
export function fits(text: string, { columns }: Pick<Style, "columns">): boolean {
  if (columns === undefined) return true;
  return text.split("\n").every((line) => Bun.stringWidth(line) <= columns);
}

/**
 * Breaks a line that is too long for the terminal at blanks, and a word that is too long behind its commas; the lines
 * behind the first are indented. Escape sequences belong around the result, not into it.
 */
export function wrap(text: string, indent: number, { columns }: Pick<Style, "columns">): string {
  if (columns === undefined || Bun.stringWidth(text) <= columns) return text;
  const lines: string[] = [];
  let line = "";
  for (const piece of text.match(/\s*(?:[^\s,]+,*|,+)/g) ?? []) {
    const isFull = Bun.stringWidth(line + piece) > columns && line.trim() !== "";
    if (isFull) lines.push(line);
    line = isFull ? " ".repeat(indent) + piece.trimStart() : line + piece;
  }
  return [...lines, line].join("\n");
}

/** A cell is one line: a newline or a tab can only come from a name. */
const oneLine = (cell: string) => cell.replace(/[\n\t]/g, printable);

/**
 * @param colour whether escape sequences may be printed (output/colour.ts decides)
 * @param columns the width of the terminal, where there is one
 */
export function createStyle(colour: boolean, columns?: number): Style {
  return {
    colour,
    columns,
    paint: (tone, text) => (colour ? `\x1b[${codes[tone]}m${text}\x1b[0m` : text),
    table(rows, { header, align = [], indent = 0 } = {}) {
      const all = (header === undefined ? rows : [header, ...rows]).map((row) => row.map(oneLine));
      const widths: number[] = [];
      for (const row of all) {
        for (const [column, cell] of row.entries()) {
          widths[column] = Math.max(widths[column] ?? 0, Bun.stringWidth(cell));
        }
      }
      const margin = " ".repeat(indent);
      const lines = all.map((row, at) => {
        const cells = row.map((cell, column) => {
          const gap = " ".repeat((widths[column] ?? 0) - Bun.stringWidth(cell));
          const text = at === 0 && header !== undefined && colour ? `\x1b[2m${cell}\x1b[0m` : cell;
          return align[column] === "right" ? gap + text : text + gap;
        });
        return (margin + cells.join("  ")).trimEnd();
      });
      return lines.join("\n");
    },
  };
}
