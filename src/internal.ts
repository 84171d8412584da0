// Hidden commands that the agent starts as children of its own: `citadel-agent __child NAME ARGUMENTS…`. They skip
// the command line, the settings and the output, so that a child costs about as much as an empty program.
// Modules named here import only what they need, by file, not by index.

/** A child's work: prints what its parent reads. @returns the exit code */
export type InternalCommand = (args: readonly string[]) => Promise<number>;

type Loader = () => Promise<{ readonly run: InternalCommand }>;

/** One line per child: `name: () => import("./layout/survey-child.ts"),`; the module exports `run`. */
const internalCommands: Readonly<Record<string, Loader>> = {
  "monitor-backups": () => import("./app/backups-child.ts"),
  "monitor-models": () => import("./app/models-child.ts"),
  hup: () => import("./system/send-hup.ts"),
  "install-binary": () => import("./system/install-binary.ts"),
  "monitor-latency": () => import("./monitor/latency-child.ts"),
  perf: () => import("./monitor/perf/child.ts"),
  survey: () => import("./system/survey/child.ts"),
};

/** @returns the child's exit code; 2 for a name that nobody declared */
export async function runInternal(args: readonly string[]): Promise<number> {
  const [name = "", ...rest] = args;
  const load = Object.hasOwn(internalCommands, name) ? internalCommands[name] : undefined;
  if (load === undefined) return 2;
  return await (await load()).run(rest);
}
