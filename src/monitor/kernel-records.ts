// Records of the kernel log: parsed, numbered, and read from where the last look ended. What a record means is in
// probes/kernel.ts (disks) and probes/gpu.ts (Xid).

import { messageOf } from "../core/index.ts";
import { readText } from "../system/index.ts";
import { openKernelLog } from "../system/kernel-log.ts";
import type { Memory } from "./memory.ts";

export interface KernelRecord {
  readonly sequence: number;
  /** Microseconds since boot, as the kernel counts. */
  readonly sinceBootUs: number;
  /** 0 is the kernel itself; programs that write to /dev/kmsg have others. */
  readonly facility: number;
  readonly level: number;
  readonly text: string;
}

const maxRecords = 100_000;

/** Parses records; lines of a record's dictionary (they begin with a blank) and torn lines are left out. */
export function parseKernelRecords(text: string): KernelRecord[] {
  const records: KernelRecord[] = [];
  for (const line of text.split("\n")) {
    if (records.length >= maxRecords) break;
    const match = /^(\d{1,6}),(\d{1,15}),(\d{1,17}),[^;]{0,64};(.*)$/.exec(line);
    if (match === null) continue;
    const priority = Number(match[1]);
    records.push({
      facility: priority >> 3,
      level: priority & 7,
      sequence: Number(match[2]),
      sinceBootUs: Number(match[3]),
      text: unescapeHex(match[4] ?? ""),
    });
  }
  return records;
}

function unescapeHex(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})/gi, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

export interface KernelLook {
  readonly records: readonly KernelRecord[];
  readonly lostRecords: number;
}

export interface KernelCursor {
  /** New records of the kernel itself since the last look. @throws what reading the log throws */
  next(): KernelLook;
}

/** The log, read once for several cursors: each gets every record from its own first look on. */
export interface KernelFeed {
  /** @throws what reading the log throws */
  subscribe(): () => readonly KernelRecord[];
}

/** Opens the feed of a process; nothing is read before the first look. */
export function openKernelFeed(devicePath: string): KernelFeed {
  const log = openKernelLog(devicePath);
  const queues: KernelRecord[][] = [];
  return {
    subscribe() {
      const queue: KernelRecord[] = [];
      queues.push(queue);
      return () => {
        const fresh = parseKernelRecords(log.read().text);
        for (const each of queues) {
          for (const record of fresh) each.push(record);
          // Whoever does not look loses the oldest, as in the kernel's own ring.
          if (each.length > maxRecords) each.splice(0, each.length - maxRecords);
        }
        return queue.splice(0);
      };
    },
  };
}

export interface KernelCursorOptions {
  readonly feed: KernelFeed;
  /** `/proc`: boot id and uptime. */
  readonly procPath: string;
  readonly memory: Memory;
  /** Under which name the place is remembered. */
  readonly key: string;
  /** How far the first look goes back. */
  readonly lookBackMs: number;
}

/** Opens a cursor that remembers its place across restarts of the agent, not across boots. */
export function openKernelCursor(options: KernelCursorOptions): KernelCursor {
  const { feed, procPath, memory, key, lookBackMs } = options;
  const take = feed.subscribe();
  return {
    next() {
      const bootId = readText(`${procPath}/sys/kernel/random/boot_id`)?.trim() ?? "unknown";
      const place = memory.read(key) as { bootId?: unknown; sequence?: unknown } | undefined;
      const last =
        place?.bootId === bootId && typeof place.sequence === "number" ? place.sequence : undefined;
      const all = take();
      const newest = all.at(-1)?.sequence;
      if (newest !== undefined) memory.write(key, { bootId, sequence: newest });
      // After the log was cleared or numbers restarted, an old place means nothing.
      if (last === undefined || (newest !== undefined && newest < last)) {
        const oldestUs = uptimeUs(procPath) - lookBackMs * 1000;
        return {
          records: all.filter(isKernel).filter((r) => r.sinceBootUs >= oldestUs),
          lostRecords: 0,
        };
      }
      const oldest = all[0]?.sequence ?? last + 1;
      return {
        records: all.filter((record) => record.sequence > last).filter(isKernel),
        lostRecords: Math.max(0, oldest - last - 1),
      };
    },
  };
}

const isKernel = (record: KernelRecord) => record.facility === 0;

function uptimeUs(procPath: string): number {
  const seconds = Number.parseFloat(readText(`${procPath}/uptime`) ?? "");
  return Number.isFinite(seconds) ? seconds * 1e6 : 0;
}

/** Why the log could not be read, for a person. */
export function kernelLogProblem(thrown: unknown): string {
  return `kernel log: ${messageOf(thrown)}`;
}
