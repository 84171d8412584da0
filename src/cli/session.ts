// What surrounds one command: the outside world, the output, the log. Opened twice: roughly, to report errors of
// the command line in the form that was asked for, and again when the command is known.

import type { AgentCommand, GlobalFlags } from "../commands/define.ts";
import { CitadelError } from "../core/index.ts";
import { wantsColour } from "../output/colour.ts";
import { createOutput, type CommandOutput } from "../output/create-output.ts";
import { createLogger, logLevelFor } from "../output/logger.ts";
import { createStyle } from "../output/style.ts";
import { createHostPaths } from "../system/host-paths.ts";
import type { SignalWatch } from "../system/signals.ts";
import { createSystem, type System } from "../system/system.ts";

export interface Session {
  readonly system: System;
  readonly globals: GlobalFlags;
  readonly out: CommandOutput;
}

/** What of a command decides how it speaks. */
export interface SessionTraits {
  readonly access: AgentCommand["access"];
  readonly daemon: boolean;
  /** `--watch`: documents are printed as they come. */
  readonly watch: boolean;
}

const roughTraits: SessionTraits = { access: "read", daemon: false, watch: false };

/** A session before the command line is understood. */
export function openRoughSession(argv: readonly string[], signals: SignalWatch): Session {
  return openSession(createSystem(), roughFlags(argv), signals, roughTraits);
}

/** Enough of the flags to report an error as it was asked for. */
function roughFlags(argv: readonly string[]): GlobalFlags {
  const end = argv.indexOf("--");
  const flags = end === -1 ? argv : argv.slice(0, end);
  return {
    json: flags.includes("--json") || flags.includes("--json=true"),
    root: undefined,
    config: undefined,
    envFile: undefined,
    dryRun: false,
    planHash: undefined,
    yes: false,
    lockTimeoutMs: 0,
    quiet: false,
    verbosity: flags.includes("--verbose") || flags.includes("-v") ? 1 : 0,
    logFormat: "pretty",
    colour: flags.includes("--no-color") ? false : undefined,
  };
}

/** @throws kind `not-found` if the directory of `--root` does not exist */
export function openSession(
  base: System,
  globals: GlobalFlags,
  signals: SignalWatch,
  traits: SessionTraits,
): Session {
  const out = openOutput(base, globals, signals, traits);
  const { environment, clock } = base;
  const { verbosity, quiet, logFormat } = globals;
  const logger = createLogger({
    level: logLevelFor({ quiet, verbosity, daemon: traits.daemon }),
    format: logFormat,
    journal: environment.stderrIsJournal,
    style: createStyle(stderrColour(base, globals)),
    nowMs: clock.nowMs,
    write: out.log,
  });
  const hostPaths = globals.root === undefined ? base.hostPaths : createHostPaths(globals.root);
  return { system: { ...base, hostPaths, logger }, globals, out };
}

const stderrColour = ({ environment }: System, { colour }: GlobalFlags) =>
  wantsColour(colour, environment.variables, environment.stderrIsTerminal);

function openOutput(
  system: System,
  globals: GlobalFlags,
  signals: SignalWatch,
  { access, watch }: SessionTraits,
): CommandOutput {
  const { environment, clock } = system;
  const { stdinIsTerminal, stdoutIsTerminal, stderrIsTerminal } = environment;
  return createOutput({
    json: globals.json,
    stream: watch,
    quiet: globals.quiet,
    verbose: globals.verbosity > 0,
    yes: globals.yes,
    host: environment.hostname,
    nowMs: clock.nowMs,
    monotonicMs: clock.monotonicMs,
    terminal: { stdin: stdinIsTerminal, stdout: stdoutIsTerminal, stderr: stderrIsTerminal },
    colour: {
      stdout: wantsColour(globals.colour, environment.variables, stdoutIsTerminal),
      stderr: stderrColour(system, globals),
    },
    signal: signals.signal,
    onClosed: () => {
      // A change is finished whoever listens; reading for nobody is not.
      if (access === "read") signals.abort(outputClosed());
    },
  });
}

function outputClosed(): CitadelError {
  return new CitadelError({
    kind: "cancelled",
    code: "OUTPUT_CLOSED",
    message: "nobody reads the output any more",
  });
}
