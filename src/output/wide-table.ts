// Tables with one long column (ids of snapshots): where they do not fit the terminal, that column gets lines of its own.

import { fits, type Style } from "./style.ts";

export interface WideTable {
  readonly header?: readonly string[];
  readonly align?: readonly ("left" | "right")[];
  /** The column that moves to a line of its own, above the rest of its row where it is the first, else below. */
  readonly main: number;
}

/** A table, or where that is too wide for the terminal two lines for each row. */
export function formatWideTable(
  rows: readonly (readonly string[])[],
  { header, align = [], main }: WideTable,
  style: Pick<Style, "columns" | "table">,
): string {
  const count = Math.max(0, ...rows.map(({ length }) => length));
  const aligned = Array.from({ length: count }, (_, column) => align[column] ?? "left");
  const table = style.table(rows, { ...(header && { header }), align: aligned });
  if (fits(table, style)) return table;
  const rest = <T>(cells: readonly T[]) => cells.filter((_, column) => column !== main);
  const one = (cells: readonly string[]) => [cells[main] ?? ""];
  const isFirst = main === 0;
  const heads = style.table(rows.map(one), {
    ...(header && { header: one(header) }),
    indent: isFirst ? 0 : 2,
  });
  const others = style.table(rows.map(rest), {
    ...(header && { header: rest(header) }),
    align: rest(aligned),
    indent: isFirst ? 2 : 0,
  });
  const below = others.split("\n");
  return heads
    .split("\n")
    .flatMap((head, at) => (isFirst ? [head, below[at] ?? ""] : [below[at] ?? "", head]))
    .filter((line) => Bun.stripANSI(line).trim() !== "")
    .join("\n");
}
