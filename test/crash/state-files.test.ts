// Each file of the agent's state that cannot be made: the system's reason decides the exit code, and nothing is done.
// SQLite hides that reason where it makes the files itself.

import { beforeAll, describe, expect, test } from "bun:test";
import { exitCodesOf } from "../support/campaign.ts";
import { CliHost } from "../support/cli-campaign.ts";
import { failAt, listCalls, straceAvailable, type CallPoint } from "../support/crash.ts";
import { builtBinary } from "../support/built-binary.ts";

if (!straceAvailable) console.log("skipped: state files: strace is missing, or may not trace here");

const files = ["host.lock", "journal.db", "journal.db-journal", "journal.db-wal", "journal.db-shm"];

describe.skipIf(!straceAvailable)("a file of the state that cannot be made", () => {
  let program: string;
  beforeAll(() => {
    program = builtBinary();
  });

  const setup = (host: CliHost) => ({
    command: [program, "--root", host.root, "setup", "--yes"],
    below: [host.root],
  });

  function pointsOf(host: CliHost): CallPoint[] {
    const { calls } = listCalls(setup(host));
    return files.flatMap((name) => {
      const creates = (point: CallPoint) =>
        point.call === "openat" && point.text.includes(`/${name}"`);
      const point = calls.find(creates);
      return point === undefined ? [] : [point];
    });
  }

  test("is told with its own reason and exit code, and nothing is laid out", () => {
    using first = new CliHost([program]);
    const points = pointsOf(first);
    expect(points.map(({ text }) => /([^/"]+)", O_/.exec(text)?.[1])).toEqual(files);
    for (const point of points) {
      for (const errno of ["ENOSPC", "EROFS", "EACCES", "EIO"] as const) {
        using host = new CliHost([program]);
        const before = host.tree();
        const run = failAt(setup(host), point, errno);
        expect(run.hit).toBe(true);
        expect([errno, [run.exitCode]]).toEqual([errno, [...(exitCodesOf[errno] ?? [])]]);
        expect(run.stderr).toContain(`(${errno})`);
        expect(host.tree()).toEqual(before);
      }
    }
  }, 120_000);
});
