// The program on a terminal of its own, by script(1) of util-linux: what a person would see, as bytes.

import { existsSync } from "node:fs";
import { cliCommand, runCli, type CliResult } from "./run-cli.ts";

/** Tests that need a terminal skip themselves without it, and say so. */
export const hasTerminal = existsSync("/usr/bin/script");
if (!hasTerminal) console.log("skipped: what is shown on a terminal needs script(1) of util-linux");

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;

/** stdout and stderr come together, as the terminal shows them; its line ends are made ours. */
export async function runOnTerminal(
  args: readonly string[],
  options: { columns?: number; input?: string; timeoutMs?: number } = {},
): Promise<CliResult> {
  const { columns = 80, ...rest } = options;
  const words = [...cliCommand(), ...args].map(quoted).join(" ");
  const result = await runCli(["-qefc", `stty cols ${columns} rows 24; ${words}`, "/dev/null"], {
    command: ["script"],
    ...rest,
  });
  return { ...result, stdout: result.stdout.replaceAll("\r\n", "\n") };
}
