// Runs one command line from the first flag to the exit code: parse strictly, open the app, run, report, record.

import type { App } from "../app/app.ts";
import type { AgentCommand, ParsedArgs } from "../commands/define.ts";
import { assert, CitadelError, ExitCode, exitCodeOf } from "../core/index.ts";
import { rawArguments, resolvePath } from "../system/environment.ts";
import { exitCodeOfSignal, type SignalWatch } from "../system/signals.ts";
import { placeArguments, toParsedArgs, type Places } from "./args.ts";
import { toGlobalFlags } from "./global-flags.ts";
import { flagName } from "./globals.ts";
import { formatCommandHelp, formatGroupHelp, formatRootHelp, type HelpSections } from "./help.ts";
import { scanCommandLine, type Scanned } from "./scan.ts";
import { openRoughSession, openSession, type Session } from "./session.ts";
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

interface Chosen {
  readonly command: AgentCommand;
  readonly scanned: Scanned;
  readonly places: Places;
}

/** Never throws: whatever goes wrong becomes a message and an exit code. */
export async function runCli(options: RunCliOptions): Promise<ExitCode> {
  let session = openRoughSession(options.argv, options.signals);
  try {
    const scanned = await scanCommandLine(options.map, options.argv);
    if (isOn(scanned, "help")) return showHelp(session, scanned, options);
    if (isOn(scanned, "version")) return await showVersion(session);
    const chosen = chooseCommand(scanned);
    if (chosen === undefined) return showHelp(session, scanned, options);
    const globals = await toGlobalFlags(scanned.globals, resolvePath);
    const wantsPlan = globals.dryRun || globals.planHash !== undefined;
    if (wantsPlan && chosen.command.dryRun === "refused") throw noPlan(scanned.words);
    const args = await toParsedArgs(chosen.command.args, chosen.places);
    session = openSession(session.system, globals, options.signals, {
      access: chosen.command.access,
      daemon: chosen.command.daemon === true,
      watch: args["watch"] === true,
    });
    return await runChosen(session, chosen, args, options);
  } catch (thrown) {
    const exitCode = exitCodeOf(thrown);
    session.out.fail(thrown, exitCode);
    return exitCode;
  }
}

const isOn = (scanned: Scanned, name: "help" | "version") =>
  scanned.globals.flags.get(name)?.at(-1)?.value === "true";

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

function noPlan(words: readonly string[]): CitadelError {
  return usageError(
    "DRY_RUN_REFUSED",
    `\`${words.join(" ")}\` has no plan, so it does not run with --dry-run or --plan-hash`,
    "leave the flag out to run it; --help says what it does",
  );
}

function showHelp({ out }: Session, scanned: Scanned, options: RunCliOptions): ExitCode {
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
  args: ParsedArgs,
  options: RunCliOptions,
): Promise<ExitCode> {
  const { system, globals, out } = session;
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
    // A signal came and the command ended in good order: still interrupted, unless it is there to be stopped.
    const received = command.daemon === true ? undefined : options.signals.received();
    if (received !== undefined) exitCode = exitCodeOfSignal[received];
    out.finish(scanned.words.join("-"), exitCode);
  } catch (caught) {
    thrown = caught;
    exitCode = exitCodeOfEnd(caught, command, options.signals);
    if (exitCode !== ExitCode.success) out.fail(caught, exitCode);
  }
  const changes = command.access === "change" || command.changes?.(args) === true;
  if (changes && !globals.dryRun && app !== undefined) {
    await recordChange(session, app, { command, scanned, places }, { startedMs, exitCode, thrown });
  }
  return exitCode;
}

/** The exit code of a command that threw: being stopped is no failure of its own. */
function exitCodeOfEnd(thrown: unknown, { daemon }: AgentCommand, signals: SignalWatch): ExitCode {
  const received = signals.received();
  if (!isCancelled(thrown) || !signals.signal.aborted) return exitCodeOf(thrown);
  if (received === undefined || daemon === true) return ExitCode.success; // nobody reads, or a clean stop
  return exitCodeOfSignal[received];
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
  args: ParsedArgs,
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
  { system, out }: Session,
  app: App,
  { command, scanned, places }: Chosen,
  end: { startedMs: number; exitCode: ExitCode; thrown: unknown },
): Promise<void> {
  const { formatRecord, writeRecord } = await import("./record.ts");
  const logs = command.settings === "none" ? undefined : app.settings.paths.app_logs;
  const line = formatRecord(command, places, { words: scanned.words, ...end }, system);
  await writeRecord(
    line,
    logs === undefined ? undefined : system.hostPaths.real(logs),
    system,
    out.log,
  );
}
