// `selftest --torture DIR`: proves on this file system what the documentation promises.

import { CitadelError, ExitCode, joinPath } from "../core/index.ts";
import type { Style } from "../output/index.ts";
import {
  assertScratchParent,
  tortureBackup,
  tortureLinks,
  type PromiseReport,
} from "../selftest/index.ts";
import { makeDirectories, resolvePath, selfCommand, stat } from "../system/index.ts";
import { fileSystemUsage } from "../system/index.ts";
import { randomBytes } from "../system/random.ts";
import { makeScratch } from "../system/torture-files.ts";
import { defineAgentCommand } from "./define.ts";

const defaultRounds = 20;
/** Snapshots of a small tree, most of them hard links: what the rounds may need at most. */
const neededBytes = 2 * 1024 ** 3;

export const command = defineAgentCommand({
  description: "kills the agent again and again in a scratch directory and proves its promises",
  access: "read",
  settings: "none",
  args: {
    torture: {
      type: "string",
      required: true,
      valueHint: "DIR",
      description:
        "a directory on the file system to be tested; removed again is only what is made",
    },
    seed: { type: "number", min: 0, max: 4294967295, description: "repeats an earlier run" },
    rounds: {
      type: "number",
      min: 1,
      max: 10_000,
      default: defaultRounds,
      description: "kills per promise",
    },
    keep: { type: "boolean", description: "leaves the scratch directory for a look" },
  },
  examples: [
    "sudo -u agent0 citadel-agent selftest --torture /mnt/citadel-models",
    "citadel-agent selftest --torture /var/tmp --rounds 200 --seed 42",
  ],
  details:
    "Links: killed at random moments, every link is old or new, a reader never misses\none, the next run leaves nothing behind. Backups: killed at random moments, what\nis called a snapshot verifies, and a flipped bit is found.",
  async run({ args, out, signal }) {
    const directory = resolvePath(args.torture);
    assertFit(directory);
    assertScratchParent(directory);
    const seed = args.seed ?? randomBytes(4).readUInt32LE();
    const scratch = makeScratch(directory);
    const reports: PromiseReport[] = [];
    try {
      for (const [name, torture] of [
        ["links", tortureLinks],
        ["backup", tortureBackup],
      ] as const) {
        if (signal.aborted) break;
        const own = joinPath(scratch.path, name);
        makeDirectories(own, 0o755);
        reports.push(
          await torture({
            scratch: own,
            agent: selfCommand(),
            seed,
            rounds: args.rounds,
            signal,
            onRound: (activity, doneItems, totalItems) =>
              out.progress({ activity: `torturing ${activity}`, doneItems, totalItems }),
          }),
        );
      }
    } finally {
      if (args.keep === true) out.note(`left for a look: ${scratch.path}`);
      else scratch.remove();
    }
    const ok = reports.every(({ violations }) => violations.length === 0);
    out.result("selftest", { directory, seed, ok, promises: reports }, () =>
      formatReports(reports, seed, out.style),
    );
    return ok ? ExitCode.success : ExitCode.findings;
  },
});

function assertFit(directory: string): void {
  if (stat(directory)?.type !== "directory") {
    throw new CitadelError({
      kind: "usage",
      code: "NOT_A_DIRECTORY",
      message: `not a directory: ${directory}`,
      path: directory,
      hint: "name a directory on the file system that is to be tested",
    });
  }
  const { availableBytes } = fileSystemUsage(directory);
  if (availableBytes >= neededBytes) return;
  throw new CitadelError({
    kind: "no-space",
    code: "NO_SPACE",
    message: `the self-test may need 2 GiB and ${directory} has less`,
    path: directory,
    hint: "free space first, or test another directory of the same kind of file system",
  });
}

function formatReports(reports: readonly PromiseReport[], seed: number, style: Style): string {
  const rows = reports.map(({ promise, rounds, killed, reads, violations }) => [
    violations.length === 0 ? style.paint("ok", "kept") : style.paint("critical", "BROKEN"),
    promise,
    `${rounds} rounds`,
    `${killed} killed at work`,
    reads === 0 ? "" : `${reads} reads meanwhile`,
  ]);
  const broken = reports.flatMap(({ violations }) => violations.map((text) => `  ${text}`));
  return [style.table(rows), ...broken, `seed ${seed}`].join("\n");
}
