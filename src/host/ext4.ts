// What ext4 says about itself: whether it has a journal, and the data mode in force. `data=` cannot change while
// mounted (measured: remount fails with 32), so the default for the next mount is set in the superblock.

import { joinPath, type AbsolutePath } from "../core/index.ts";
import { listDirectory, readText } from "../system/index.ts";
import type { Operation } from "../transaction/index.ts";

export interface Ext4Facts {
  /** undefined: could not be read. */
  readonly hasJournal: boolean | undefined;
  /** Lines of /proc/fs/ext4/<device>/options; undefined where that file is not there. */
  readonly options: readonly string[] | undefined;
}

/**
 * Reads what a mounted ext4 shows without privilege.
 * @param name the kernel's name of the device that holds the file system: `nvme1n1p1`, `dm-0`
 */
export function readExt4Facts(proc: string, name: string): Ext4Facts {
  const text = readText(joinPath(proc, "fs/ext4", name, "options"));
  if (text === undefined) return { hasJournal: undefined, options: undefined };
  const options = text.split("\n").filter((line) => line !== "");
  // Without a journal the kernel prints no data mode; jbd2 has a directory for each journal in use.
  const journals = listDirectory(joinPath(proc, "fs/jbd2")) ?? [];
  const hasJournal =
    options.some((line) => line.startsWith("data=")) ||
    journals.some((journal) => journal.startsWith(`${name}-`));
  return { hasJournal, options };
}

/** The `Default mount options:` line of `tune2fs -l`, in its words; undefined where it is not there. */
export function parseDefaultMountOptions(listing: string): string[] | undefined {
  const line = /^Default mount options:\s*(.*)$/m.exec(listing)?.[1];
  return line?.split(/\s+/).filter((word) => word !== "" && word !== "(none)");
}

/** Whether `tune2fs -l` names a journal among the features; undefined where there is no such line. */
export function parseHasJournal(listing: string): boolean | undefined {
  const line = /^Filesystem features:\s*(.*)$/m.exec(listing)?.[1];
  return line?.split(/\s+/).includes("has_journal");
}

/** The UUID in `tune2fs -l`. */
export function parseUuid(listing: string): string | undefined {
  return /^Filesystem UUID:\s*([0-9a-f-]{36})$/im.exec(listing)?.[1];
}

/**
 * Start of a shell script: `dev` is the device to use. A journal is read after a reboot too, when names may have
 * swapped: $1 is the device's path of today, used only while it holds the file system with UUID $2.
 */
export const pickDevice =
  'dev=$1; tune2fs -l "$dev" 2>/dev/null | grep -qi "^Filesystem UUID: *$2" || dev="UUID=$2"; ';

// Prints one line, `yes` or `no`: whether the flag is set.
const readFlag = `${pickDevice}tune2fs -l "$dev" | grep -q '^Default mount options:.*journal_data_writeback' && echo yes || echo no`;
const setFlag = `${pickDevice}tune2fs -o "$3" "$dev"`;

/**
 * The step that makes `data=writeback` the default of the file system on one partition (or volume), never of a disk.
 * The journal itself is never touched. The shell gets every value as a positional argument.
 * @param device a device path: `/dev/nvme1n1p1`
 */
export function journalModeOperation(device: AbsolutePath, uuid: string): Operation {
  const shell = (script: string, ...rest: string[]) => {
    return ["sh", "-c", script, "sh", device, uuid, ...rest];
  };
  return {
    op: "run_command",
    path: device,
    why: "tune2fs -o journal_data_writeback: data=writeback by default from the next mount on",
    before: { type: "external", value: "no" },
    after: { type: "external", value: "yes" },
    command: {
      read: shell(readFlag),
      apply: shell(setFlag, "journal_data_writeback"),
      undo: shell(setFlag, "^journal_data_writeback"),
      timeoutMs: 30_000,
    },
  };
}
