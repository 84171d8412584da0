// The process around a command line: signals, what nobody caught, the exit code.

import { exitCodeOf, type ExitCode } from "../core/index.ts";
import { watchSignals } from "../system/signals.ts";
import type { HelpSections } from "./help.ts";
import { runCli } from "./run.ts";
import { openRoughSession } from "./session.ts";
import type { CommandMap } from "./tree.ts";

/** Runs `argv` as the only work of this process. What nobody catches is a bug of ours: reported, exit 1. */
export async function runProcess(
  map: CommandMap,
  sections: HelpSections,
  argv: readonly string[],
): Promise<ExitCode> {
  const signals = watchSignals();
  // A daemon outlives a stray rejection, which is logged; a command does not: its result could not be trusted.
  let isDaemon = false;
  const report = (thrown: unknown) =>
    openRoughSession([...argv, "--verbose"], signals).out.fail(thrown, exitCodeOf(thrown));
  process.on("uncaughtException", (error) => {
    report(error);
    process.exit(1);
  });
  process.on("unhandledRejection", (reason) => {
    report(reason);
    if (!isDaemon) process.exit(1);
  });
  const onDaemon = () => {
    isDaemon = true;
  };
  return await runCli({ map, sections, argv, signals, onDaemon });
}
