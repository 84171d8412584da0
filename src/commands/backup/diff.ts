// `backup diff A B`: what changed between two snapshots.

import { findSnapshot } from "../../app/backup-repository.ts";
import { diffManifests, type Change } from "../../backup/diff.ts";
import { jsonPath } from "../../backup/format/byte-path.ts";
import { assertSoundMetadata } from "../../backup/restore/restore.ts";
import { readManifest } from "../../backup/snapshot-reader.ts";
import { ExitCode, formatBytes } from "../../core/index.ts";
import { defineAgentCommand } from "../define.ts";
import { shownPath } from "./shown-path.ts";

/** More changes than these are only counted. */
const maxListed = 100_000;
const signs: Record<Change, string> = {
  added: "+",
  removed: "-",
  content: "M",
  type: "T",
  metadata: "m",
  target: "L",
};

export const command = defineAgentCommand({
  description: "what changed from snapshot A to snapshot B",
  access: "read",
  args: {
    a: { type: "positional", description: "the earlier one: an id, a path, latest" },
    b: { type: "positional", description: "the later one" },
  },
  examples: ["citadel-agent backup diff ID latest"],
  async run({ app, args, out, signal }) {
    const { snapshot: a, remarks } = await findSnapshot(app, args.a, signal);
    const { snapshot: b, remarks: remarksOfB } = await findSnapshot(app, args.b, signal);
    for (const remark of new Set([...remarks, ...remarksOfB])) out.warn(remark);
    assertSoundMetadata(a);
    assertSoundMetadata(b);
    const counts: Record<Change, number> = {
      added: 0,
      removed: 0,
      content: 0,
      type: 0,
      metadata: 0,
      target: 0,
    };
    const changes: { path: string; path_b64?: string; change: Change; bytes: number }[] = [];
    const lines: string[] = [];
    let bytes = 0;
    for (const difference of diffManifests(readManifest(a.directory), readManifest(b.directory))) {
      counts[difference.change] += 1;
      bytes += difference.bytes;
      if (changes.length >= maxListed) continue;
      const { path, change } = difference;
      changes.push({ ...jsonPath(path), change, bytes: difference.bytes });
      if (!out.json) lines.push(`${signs[change]} ${shownPath(path)}`);
    }
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
    out.result("backup-diff", { a: a.id, b: b.id, counts, total, bytes, changes }, () => {
      const summary = Object.entries(counts)
        .filter(([, count]) => count > 0)
        .map(([change, count]) => `${count} ${change}`);
      const change = `${bytes < 0 ? "-" : "+"}${formatBytes(Math.abs(bytes))}`;
      return [...lines, total === 0 ? "no difference" : `${summary.join(", ")}; ${change}`].join(
        "\n",
      );
    });
    return ExitCode.success;
  },
});
