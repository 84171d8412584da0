// How a command speaks: one JSON document or text on stdout, everything else on stderr.

import type { Style } from "./style.ts";

export interface Progress {
  /** What is being done: `copying`, `verifying`. */
  readonly activity: string;
  readonly doneBytes?: number | undefined;
  readonly totalBytes?: number | undefined;
  readonly doneItems?: number | undefined;
  readonly totalItems?: number | undefined;
  /** The file or object at hand. */
  readonly current?: string | undefined;
}

export interface Output {
  /** `--json` was given. */
  readonly json: boolean;
  readonly style: Style;
  /**
   * The result of a command. With `--json` prints one document `{schema: "citadel.<name>/1", host, time, …fields}`,
   * else the text. Called once per command (once per turn with `--watch`).
   */
  result(name: string, fields: Readonly<Record<string, unknown>>, text: () => string): void;
  /**
   * Text on stdout exactly as it is, with a final newline, also with `--json`: for output that is a document of
   * another kind (a JSON schema, a bundle) and is asked for by name.
   */
  verbatim(text: string): void;
  /** Text on stdout while the command runs; dropped with `--json`. */
  line(text: string): void;
  /** A warning on stderr, also with `--quiet`; one line without colours: a newline in it is part of a name. */
  warn(text: string): void;
  /** A remark on stderr; dropped with `--quiet`. One line, as `warn`. */
  note(text: string): void;
  /** Shown on a terminal as it changes, elsewhere as one line every 30 s. */
  progress(update: Progress): void;
  /**
   * Asks yes or no on the terminal. `--yes` answers yes.
   * @throws kind `conflict`, code `CONFIRMATION_NEEDED` (exit 6), where nobody can be asked
   */
  confirm(question: string): Promise<boolean>;
}
