// Runs one command line from the first flag to the exit code: parse strictly, open the app, run, report, record.

import type { App } from "../app/app.ts";
import type { AgentCommand, GlobalFlags } from "../commands/define.ts";
import { assert, CitadelError, ExitCode, exitCodeOf } from "../core/index.ts";
import { wantsColour } from "../output/colour.ts";
import { createOutput, type CommandOutput } from "../output/create-output.ts";
import { rawArguments, resolvePath } from "../system/environment.ts";
import { exitCodeOfSignal, type SignalWatch } from "../system/signals.ts";
import { createSystem, type System } from "../system/system.ts";
import { placeArguments, toParsedArgs, type Places } from "./args.ts";
import { flagName, toGlobalFlags } from "./globals.ts";
import { formatCommandHelp, formatGroupHelp, formatRootHelp, type HelpSections } from "./help.ts";
import { scanCommandLine, type Scanned } from "./scan.ts";
import type { CommandMap } from "./tree.ts";
import { usageError } from "./usage-error.ts";

export interface RunCliOptions {
  readonly map: CommandMap;
  readonly sections: HelpSections;
  readonly argv: readonly string[];
  readonly signals: SignalWatch;
  /** Called before a daemon runs. */
  readonly onDaemon: () => void;
}

interface Session {
  readonly options: RunCliOptions;
  readonly system: System;
  readonly globals: GlobalFlags;
  readonly out: CommandOutput;
}

interface Chosen {
  readonly command: AgentCommand;
  readonly scanned: Scanned;
  readonly places: Places;
}

/** Never throws: whatever goes wrong becomes a message and an exit code. */
export async function runCli(options: RunCliOptions): Promise<ExitCode> {
  let session = openSession(options, createSystem(), earlyFlags(options.argv));
  try {
    const scanned = await scanCommandLine(options.map, options.argv);
    const globals = toGlobalFlags(scanned.globals, resolvePath);
    if (isOn(scanned, "help")) return showHelp(session, scanned);
    if (isOn(scanned, "version")) return await showVersion(session);
    const chosen = chooseCommand(scanned);
    if (chosen === undefined) return showHelp(session, scanned);
    const args = toParsedArgs(chosen.command.args, chosen.places);
    const watch = (args as Readonly<Record<string, unknown>>)["watch"] === true;
    const system = createSystem({ root: globals.root });
    session = openSession(options, system, globals, { watch, access: chosen.command.access });
    return await runChosen(session, chosen, args);
  } catch (thrown) {
    const exitCode = exitCodeOf(thrown);
    session.out.fail(thrown, exitCode);
    return exitCode;
  }
}

/** What nobody caught, in the form that was asked for. */
export function reportBug(thrown: unknown, argv: readonly string[]): void {
  const system = createSystem();
  const verbose = { ...earlyFlags(argv), verbosity: 1 }; // a bug is reported with its stack
  openOutput(system, verbose, { onClosed: () => {} }).fail(thrown, exitCodeOf(thrown));
}

const isOn = (scanned: Scanned, name: "help" | "version") =>
  scanned.globals.flags.get(name)?.at(-1)?.value === "true";

/** Enough of the flags to report an error in the form that was asked for, before the command line is understood. */
function earlyFlags(argv: readonly string[]): GlobalFlags {
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
    verbosity: 0,
    logFormat: "pretty",
    colour: flags.includes("--no-color") ? false : undefined,
  };
}

function openSession(
  options: RunCliOptions,
  system: System,
  globals: GlobalFlags,
  { watch = false, access = "read" }: { watch?: boolean; access?: AgentCommand["access"] } = {},
): Session {
  const onClosed = () => {
    // A change is finished whoever listens; reading for nobody is not.
    if (access === "read") options.signals.abort(outputClosed());
  };
  const out = openOutput(system, globals, { watch, onClosed, signal: options.signals.signal });
  return { options, system, globals, out };
}

function openOutput(
  system: System,
  globals: GlobalFlags,
  ends: { watch?: boolean; onClosed: () => void; signal?: AbortSignal },
): CommandOutput {
  const { environment, clock } = system;
  const { variables } = environment;
  return createOutput({
    json: globals.json,
    stream: ends.watch ?? false,
    quiet: globals.quiet,
    verbose: globals.verbosity > 0,
    yes: globals.yes,
    host: environment.hostname,
    nowMs: clock.nowMs,
    monotonicMs: clock.monotonicMs,
    terminal: {
      stdin: environment.stdinIsTerminal,
      stdout: environment.stdoutIsTerminal,
      stderr: environment.stderrIsTerminal,
    },
    colour: {
      stdout: wantsColour(globals.colour, variables, environment.stdoutIsTerminal),
      stderr: wantsColour(globals.colour, variables, environment.stderrIsTerminal),
    },
    signal: ends.signal ?? new AbortController().signal,
    onClosed: ends.onClosed,
  });
}

function chooseCommand(scanned: Scanned): Chosen | undefined {
  const { command, words } = scanned;
  const verbs = Object.keys(scanned.group.commands);
  if (command === undefined) {
    if (words.length === 0) return undefined;
    const name = ["citadel-agent", ...words].join(" ");
    throw usageError(
      "COMMAND_INCOMPLETE",
      `\`${name}\` needs a command`,
      `one of: ${verbs.join(", ")}`,
    );
  }
  return { command, scanned, places: placeArguments(command.args, scanned.own, verbs) };
}

function showHelp({ out, options }: Session, scanned: Scanned): ExitCode {
  const style = out.style;
  const { command, words, group } = scanned;
  const text =
    command !== undefined
      ? formatCommandHelp(words, command, group, style)
      : words.length > 0
        ? formatGroupHelp(words, group, style)
        : formatRootHelp(options.map, options.sections, style);
  out.result("help", { words, text: Bun.stripANSI(text) }, () => text);
  out.finish("help", ExitCode.success);
  return ExitCode.success;
}

async function showVersion({ out }: Session): Promise<ExitCode> {
  const { version, versionText } = await import("../version.ts");
  out.result("version", { ...version() }, versionText);
  out.finish("version", ExitCode.success);
  return ExitCode.success;
}

async function runChosen(
  session: Session,
  { command, scanned, places }: Chosen,
  args: ReturnType<typeof toParsedArgs>,
): Promise<ExitCode> {
  const { system, globals, out, options } = session;
  const startedMs = system.clock.nowMs();
  let app: App | undefined;
  let thrown: unknown;
  let exitCode: ExitCode;
  try {
    if (command.daemon === true) options.onDaemon();
    app = await openAppFor(session, command, places, args);
    const { signal } = options.signals;
    exitCode = await command.run({
      app,
      args,
      globals,
      out,
      signal,
      words: scanned.words,
      rawBytes: (name) => rawBytesOf(places, name, options.argv),
    });
    exitCode = interruptedCode(command, options.signals) ?? exitCode;
    out.finish(scanned.words.join("-"), exitCode);
  } catch (caught) {
    thrown = caught;
    exitCode = exitCodeOf(caught);
    if (isCancelled(caught))
      exitCode = interruptedCode(command, options.signals) ?? ExitCode.success;
    if (exitCode !== ExitCode.success) out.fail(caught, exitCode);
  }
  if (command.access === "change" && !globals.dryRun && app !== undefined) {
    await recordChange(session, app, { command, scanned, places }, { startedMs, exitCode, thrown });
  }
  return exitCode;
}

function outputClosed(): CitadelError {
  return new CitadelError({
    kind: "cancelled",
    code: "OUTPUT_CLOSED",
    message: "nobody reads the output any more",
  });
}

/** What a signal makes of the exit code; undefined: none came. A daemon's clean stop is a success. */
function interruptedCode(command: AgentCommand, signals: SignalWatch): ExitCode | undefined {
  const name = signals.received();
  if (name === undefined) return undefined;
  return command.daemon === true ? ExitCode.success : exitCodeOfSignal[name];
}

/** Whether `thrown` only says that the work was stopped: our own error, or that of an aborted call. */
function isCancelled(thrown: unknown): boolean {
  if (thrown instanceof CitadelError) return thrown.kind === "cancelled";
  return thrown instanceof Error && thrown.name === "AbortError";
}

function rawBytesOf(places: Places, name: string, argv: readonly string[]): Buffer[] {
  const raw = rawArguments().slice(-argv.length);
  return (places.get(name) ?? []).map(({ index, skipBytes }) => {
    const bytes = raw[index];
    assert(bytes !== undefined, "an argument is not in /proc/self/cmdline");
    return bytes.subarray(skipBytes);
  });
}

/** The app of `command`; says what is odd about the settings. */
async function openAppFor(
  { system, globals, out }: Session,
  command: AgentCommand,
  places: Places,
  args: ReturnType<typeof toParsedArgs>,
): Promise<App> {
  const { openApp, openBareApp, settingOverrides } = await import("../app/open-app.ts");
  if (command.settings === "none") return openBareApp(system).app;
  const given = new Map(
    [...places.keys()].map((name) => [
      name,
      { flag: flagName(name), value: args[name] as unknown },
    ]),
  );
  const overrides = settingOverrides(command.args, given);
  const { app, warnings } = await openApp(system, globals, overrides);
  for (const { message, verboseOnly } of warnings) {
    if (!verboseOnly || globals.verbosity > 0) out.warn(message);
  }
  return app;
}

async function recordChange(
  { system }: Session,
  app: App,
  { command, scanned, places }: Chosen,
  end: { startedMs: number; exitCode: ExitCode; thrown: unknown },
): Promise<void> {
  const { formatRecord, writeRecord } = await import("./record.ts");
  const logs = command.settings === "none" ? undefined : app.settings.paths.app_logs;
  const line = formatRecord(command, places, { words: scanned.words, ...end }, system);
  await writeRecord(line, logs === undefined ? undefined : system.hostPaths.real(logs), system);
}
