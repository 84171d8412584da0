// `backup archive-logs`: old logs of the application go to the backup disk, compressed.

import { assertBackupMounted, unmountedWarning } from "../../app/backup-mounts.ts";
import { backupPlaces } from "../../app/backup-repository.ts";
import { counted, ExitCode, formatBytes, joinPath } from "../../core/index.ts";
import { archiveFile, isTaken, listRegularFiles } from "../../system/archive-file.ts";
import { lstat, realpath } from "../../system/index.ts";
import { pinBelow, pinDirectory } from "../../system/pinned-directory.ts";
import { printable } from "../../output/index.ts";
import { defineAgentCommand } from "../define.ts";

const dayMs = 86_400_000;
/** Read into memory for compression: bigger ones stay, and that is said. */
const maxBytes = 256 * 1024 * 1024;

export const command = defineAgentCommand({
  description: "moves logs that nobody wrote for some days to the backup disk, compressed",
  access: "change",
  args: {
    days: { type: "number", min: 1, max: 36_500, default: 7, description: "untouched for so long" },
  },
  examples: [
    "citadel-agent backup archive-logs",
    "citadel-agent backup archive-logs --days 30 --dry-run",
  ],
  async run({ app, args, out, globals, signal }) {
    const logs = app.system.hostPaths.real(app.settings.paths.app_logs);
    const { backupRoot } = backupPlaces(app);
    const target = joinPath(backupRoot, "system/logs");
    if (!globals.dryRun) assertBackupMounted(app);
    else if (unmountedWarning(app) !== undefined) out.warn(unmountedWarning(app) ?? "");
    const nowMs = app.system.clock.nowMs();
    // The service user owns both trees: what is opened here is what is worked in, whatever takes its name meanwhile.
    using from = lstat(logs) === undefined ? undefined : pinDirectory(logs);
    const found = from === undefined ? [] : listRegularFiles(from);
    // agent.log itself is in use; its rotated generations are not
    const old = found.filter(
      ({ name, mtimeMs }) => name !== "agent.log" && nowMs - mtimeMs > args.days * dayMs,
    );
    using root =
      old.length === 0 ? undefined : pinDirectory(joinPath(realpath(backupRoot) ?? backupRoot));
    using into = root && pinBelow(root, ["system", "logs"], !globals.dryRun);
    const moved: { path: string; to: string; bytes: number }[] = [];
    const skipped: { path: string; reason: string }[] = [];
    for (const { name, sizeBytes, mtimeMs } of old) {
      signal.throwIfAborted();
      const path = joinPath(logs, name);
      const stamp = new Date(mtimeMs).toISOString().slice(0, 10);
      const archived = `${stamp}-${name}.gz`;
      const to = joinPath(target, archived);
      if (sizeBytes > maxBytes) skipped.push({ path, reason: "too large" });
      else if (into !== undefined && isTaken(into, archived))
        skipped.push({ path, reason: "archived before under this name" });
      else {
        if (from !== undefined && into !== undefined && !globals.dryRun) {
          archiveFile(from, name, into, archived, maxBytes);
        }
        moved.push({ path, to, bytes: sizeBytes });
      }
    }
    const bytes = moved.reduce((sum, { bytes: size }) => sum + size, 0);
    out.result("backup-archive-logs", { moved, skipped, bytes, applied: !globals.dryRun }, () =>
      [
        ...moved.map(({ path, to }) => `${printable(path)} -> ${printable(to)}`),
        ...skipped.map(({ path, reason }) => `stays: ${printable(path)} (${printable(reason)})`),
        `${counted(moved.length, "log")}, ${formatBytes(bytes)}${globals.dryRun ? " would be moved" : " moved"}`,
      ].join("\n"),
    );
    return skipped.length === 0 ? ExitCode.success : ExitCode.partial;
  },
});
