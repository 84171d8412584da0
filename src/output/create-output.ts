// The Output of a running command: keeps stdout pure with --json, keeps stderr readable, asks when a person is there.

import { CitadelError, type ExitCode } from "../core/index.ts";
import { fromErrno } from "../system/errno.ts";
import { readLine, terminalColumns, writeStream } from "../system/terminal.ts";
import { formatDocument, formatErrorDocument, type Fields } from "./document.ts";
import { formatErrorText } from "./error-text.ts";
import type { Output } from "./output.ts";
import { printable, sanitizeText } from "./printable.ts";
import { createProgressLine } from "./progress.ts";
import { createStyle } from "./style.ts";

export interface OutputOptions {
  readonly json: boolean;
  /** Documents are printed as they come, one per line (`--watch`); else the one document is printed at the end. */
  readonly stream: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly yes: boolean;
  readonly host: string;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  readonly terminal: {
    readonly stdin: boolean;
    readonly stdout: boolean;
    readonly stderr: boolean;
  };
  readonly colour: { readonly stdout: boolean; readonly stderr: boolean };
  readonly signal: AbortSignal;
  /** Called once when nobody reads stdout any more. */
  readonly onClosed: () => void;
}

/** An Output with the ends that only `cli/run.ts` uses. */
export interface CommandOutput extends Output {
  /** Prints the document that is held back; with `--json` and none, a minimal one. */
  finish(name: string, exitCode: ExitCode): void;
  /** A finished line of the log on stderr; takes the progress line away first. */
  log(line: string): void;
  /** The failure of the command: a document with `--json` (in place of any held back), else three lines. */
  fail(thrown: unknown, exitCode: ExitCode): void;
}

export function createOutput(options: OutputOptions): CommandOutput {
  const { json } = options;
  const errStyle = createStyle(options.colour.stderr);
  let closed = false;
  let held: string | undefined;
  let printed = false;
  const toOut = (text: string) => {
    if (closed) return;
    progress.clear();
    try {
      if (writeStream(1, text)) return;
    } catch (thrown) {
      closed = true; // the failure itself must not go there again
      throw fromErrno(thrown, "write", "standard output");
    }
    closed = true;
    options.onClosed();
  };
  const toErr = (text: string) => {
    try {
      writeStream(2, text);
    } catch {
      // a full disk behind `2> file`: there is no place left to say so
    }
  };
  const progress = createProgressLine({
    isTerminal: options.terminal.stderr,
    columns: () => terminalColumns(),
    monotonicMs: options.monotonicMs,
    write: toErr,
  });
  const errLine = (text: string) => {
    progress.clear();
    toErr(`${options.terminal.stderr ? sanitizeText(text, options.colour.stderr) : text}\n`);
  };
  const outLine = (text: string) =>
    toOut(`${options.terminal.stdout ? sanitizeText(text, options.colour.stdout) : text}\n`);
  const envelope = () => ({ host: options.host, nowMs: options.nowMs() });
  const document = (text: string) => {
    if (options.stream) outLine(text);
    else held = text;
    printed = true;
  };
  return {
    json,
    style: createStyle(
      options.colour.stdout,
      options.terminal.stdout ? terminalColumns("stdout") : undefined,
    ),
    result(name: string, fields: Fields, text: () => string) {
      if (json) return document(formatDocument(name, fields, envelope()));
      const shown = text();
      if (shown !== "") outLine(shown);
    },
    verbatim(text) {
      printed = true;
      toOut(`${text}\n`);
    },
    line(text) {
      if (!json) outLine(text);
    },
    warn: (text) => errLine(`${errStyle.paint("warning", "warning:")} ${printable(text)}`),
    note(text) {
      if (!options.quiet) errLine(printable(text));
    },
    progress(update) {
      if (!options.quiet) progress.update(update);
    },
    async confirm(question) {
      if (options.yes) return true;
      if (!options.terminal.stdin || !options.terminal.stderr) throw confirmationNeeded(question);
      progress.clear();
      toErr(`${printable(question)} [y/N] `);
      const answer = await readLine(options.signal);
      if (answer === undefined) toErr("\n");
      options.signal.throwIfAborted();
      return /^\s*y(?:es)?\s*$/i.test(answer ?? "");
    },
    finish(name, exitCode) {
      progress.clear();
      if (json && !printed) held = formatDocument(name, { exit_code: exitCode }, envelope());
      if (held !== undefined) outLine(held);
      held = undefined;
    },
    log(line) {
      progress.clear();
      toErr(line);
    },
    fail(thrown, exitCode) {
      progress.clear();
      if (json && !closed) outLine(formatErrorDocument(thrown, envelope(), exitCode));
      else errLine(formatErrorText(thrown, errStyle, options.verbose));
    },
  };
}

function confirmationNeeded(question: string): CitadelError {
  return new CitadelError({
    kind: "conflict",
    code: "CONFIRMATION_NEEDED",
    message: `nobody can be asked here: ${printable(question)}`,
    hint: "look at the plan with --dry-run, then run the command again with --yes",
  });
}
