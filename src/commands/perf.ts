// `perf PATH`: how fast the storage under a path is, and what limits it.

import { measureUnder } from "../app/perf.ts";
import { absolutePath, CitadelError, ExitCode, joinPath, parseBytes } from "../core/index.ts";
import { formatPerf } from "../output/perf-text.ts";
import { defineAgentCommand } from "./define.ts";

const mostSeconds = 60;

export const command = defineAgentCommand({
  description: "measures latency, throughput and IOPS of the storage under PATH",
  access: "read",
  args: {
    path: { type: "positional", required: true, description: "an existing directory" },
    analyze: { type: "boolean", description: "name what limits it and what to change" },
    size: { type: "string", description: "how much to write; default 256MB or less" },
    seconds: { type: "string", description: "time for each of the five workloads; default 2" },
  },
  examples: ["citadel-agent perf /mnt/citadel-models", "citadel-agent perf . --analyze --json"],
  async run({ app, args, out, signal }) {
    const { hostPaths, environment } = app.system;
    const given = args.path.startsWith("/")
      ? hostPaths.real(absolutePath(args.path))
      : joinPath(environment.workingDirectory, args.path);
    const report = await measureUnder(app, {
      path: given,
      sizeBytes: args.size === undefined ? undefined : parseBytes(args.size),
      secondsEach: parseSeconds(args.seconds),
      signal,
    });
    const { facts, figures, analysis } = report;
    const exceeded = analysis.bottleneck?.exceeded === true;
    const document = {
      path: facts.path,
      mountpoint: facts.mountpoint,
      fstype: facts.fstype,
      options: facts.options,
      disks: facts.disks,
      direct_io: facts.direct,
      size_bytes: report.sizeBytes,
      workloads: figures,
      ...(args.analyze === true
        ? { bottleneck: analysis.bottleneck, recommendations: analysis.recommendations }
        : {}),
    };
    out.result("perf", document, () => formatPerf(report, args.analyze === true, out.style));
    return args.analyze === true && exceeded ? ExitCode.findings : ExitCode.success;
  },
});

function parseSeconds(text: string | undefined): number {
  if (text === undefined) return 2;
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds >= 0.1 && seconds <= mostSeconds) return seconds;
  throw new CitadelError({
    kind: "usage",
    code: "SECONDS_INVALID",
    message: `not a time for a workload: ${JSON.stringify(text)}`,
    hint: `give seconds between 0.1 and ${mostSeconds}`,
  });
}
