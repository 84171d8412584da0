// The promise of links: whenever the agent dies, every link is the old one or the new one, a reader never finds it
// missing, and the next run leaves nothing behind.

import { listDirectory, lstat, readlink, temporaryPrefix } from "../system/index.ts";
import { createBench, type Bench, type PromiseReport, type TortureOptions } from "./torture.ts";

const linkCount = 12;
const aliases = Array.from({ length: linkCount }, (_, at) => `alias${at}`);

/** Two layouts that differ in the target of every link. */
function variant(name: string): Record<string, string> {
  const directories = Object.fromEntries(
    aliases.map((alias) => [`key-${alias}`, `${name}-${alias}`]),
  );
  const links = Object.fromEntries(aliases.map((alias) => [alias, `key-${alias}`]));
  return {
    MODEL_MODEL_DIRECTORIES: JSON.stringify(directories),
    MODEL_CONVENIENCE_LINKS: JSON.stringify(links),
  };
}

/** Turns all links back and forth, killing the agent at a random moment of each turn. */
export async function tortureLinks(options: TortureOptions): Promise<PromiseReport> {
  const bench = createBench("links", options);
  const violations: string[] = [];
  const directory = `${bench.scratch}/opt/citadel/model-links`;
  const first = await bench.run(["setup", "--yes"], { environment: variant("a") });
  if (first.exitCode !== 0) return failed(`setup ended with ${first.exitCode}: ${first.stderr}`);
  let killed = 0;
  let reads = 0;
  let typicalMs = first.durationMs;
  for (let round = 1; round <= bench.rounds && !bench.signal.aborted; round += 1) {
    bench.onRound(round);
    const environment = variant(round % 2 === 0 ? "a" : "b");
    const meanwhile = () => {
      reads += 1;
      const alias = aliases[reads % linkCount] ?? "";
      if (lstat(`${directory}/${alias}`)?.type !== "link") {
        violations.push(`round ${round}: a reader found no link at ${alias}`);
      }
    };
    const killAfterMs = bench.random() * typicalMs * 1.2;
    const doomed = await bench.run(["links", "create", "--force"], {
      killAfterMs,
      environment,
      meanwhile,
    });
    if (doomed.killed) killed += 1;
    else typicalMs = (typicalMs + doomed.durationMs) / 2;
    violations.push(...strangers(directory).map((text) => `round ${round}: ${text}`));
    violations.push(...(await afterwards(bench, environment, directory, round)));
  }
  return { promise: "links", rounds: bench.rounds, killed, reads, violations };
}

/** A link that leads to neither of the two places. */
function strangers(directory: string): string[] {
  return aliases.flatMap((alias) => {
    const path = `${directory}/${alias}`;
    const target = lstat(path)?.type === "link" ? readlink(path) : undefined;
    const isKnown = target?.endsWith(`/a-${alias}`) === true || target?.endsWith(`/b-${alias}`);
    return isKnown === true ? [] : [`${alias} leads to ${target ?? "nothing"}`];
  });
}

/** The next run must finish the job and leave nothing behind. */
async function afterwards(
  bench: Bench,
  environment: Record<string, string>,
  directory: string,
  round: number,
): Promise<string[]> {
  const again = await bench.run(["links", "create", "--force"], { environment });
  if (again.exitCode !== 0) {
    return [`round ${round}: the run after the kill ended with ${again.exitCode}: ${again.stderr}`];
  }
  const wanted = round % 2 === 0 ? "a" : "b";
  const wrong = aliases
    .filter((alias) => !readlink(`${directory}/${alias}`).endsWith(`/${wanted}-${alias}`))
    .map((alias) => `round ${round}: ${alias} is still the old link after the next run`);
  const left = (listDirectory(directory) ?? [])
    .filter((name) => name.startsWith(temporaryPrefix))
    .map((name) => `round ${round}: ${name} was left behind`);
  return [...wrong, ...left];
}

function failed(text: string): PromiseReport {
  return { promise: "links", rounds: 0, killed: 0, reads: 0, violations: [text] };
}
