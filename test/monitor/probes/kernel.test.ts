import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import {
  openKernelCursor,
  openKernelFeed,
  parseKernelRecords,
} from "../../../src/monitor/kernel-records.ts";
import { createVolatileMemory } from "../../../src/monitor/memory.ts";
import {
  createKernelProbe,
  kernelAliases,
  parseKernelEvents,
} from "../../../src/monitor/probes/kernel.ts";
import { fuzz } from "../../support/fuzz.ts";

const sda = {
  name: "sda",
  aliases: kernelAliases(
    "sda",
    ["sda1", "dm-0"],
    "/sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda",
  ),
};
const nvme = { name: "nvme0n1", aliases: kernelAliases("nvme0n1", ["nvme0n1p1"], "/sys/x") };
let sequence = 0;
const record = (text: string, priority = 3) => `${priority},${(sequence += 1)},1000000,-;${text}`;
const eventsOf = (...texts: string[]) =>
  parseKernelEvents(parseKernelRecords(texts.map((text) => record(text)).join("\n")), [sda, nvme]);

describe("messages of disks", () => {
  test.each([
    ["I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0", "sda", "io_error"],
    ["blk_update_request: I/O error, dev sda, sector 0", "sda", "io_error"],
    ["critical medium error, dev nvme0n1, sector 123 op 0x0:(READ)", "nvme0n1", "io_error"],
    ["Buffer I/O error on dev sda1, logical block 3, async page read", "sda", "io_error"],
    ["Buffer I/O error on dev dm-0, logical block 3", "sda", "io_error"],
    ["EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm ls", "sda", "filesystem"],
    ["EXT4-fs (sda1): Remounting filesystem read-only", "sda", "read_only"],
    ["Aborting journal on device sda1-8.", "sda", "filesystem"],
    ["XFS (nvme0n1p1): Corruption detected. Unmount and run xfs_repair", "nvme0n1", "filesystem"],
    ["XFS (nvme0n1p1): metadata I/O error in xfs_imap", "nvme0n1", "io_error"],
    ["BTRFS error (device sda1): bdev /dev/sda1 errs: wr 1", "sda", "filesystem"],
    ["nvme nvme0: I/O 12 QID 3 timeout, aborting", "nvme0n1", "nvme"],
    ["nvme nvme0: controller is down; will reset: CSTS=0xffffffff", "nvme0n1", "nvme"],
    ["nvme nvme0: Device not ready; aborting reset, CSTS=0x1", "nvme0n1", "offline"],
    ["ata1.00: exception Emask 0x0 SAct 0x0 SErr 0x0 action 0x6 frozen", "sda", "ata"],
    ["ata1: hard resetting link", "sda", "reset"],
    ["ata1: SATA link down (SStatus 0 SControl 300)", "sda", "offline"],
    ["sd 0:0:0:0: rejecting I/O to offline device", "sda", "offline"],
  ])("%s", (text, device, kind) => {
    const [event, ...more] = eventsOf(text);
    expect(more).toEqual([]);
    expect(event).toMatchObject({ device, kind: kind as never, count: 1 });
  });

  test.each([
    "I/O error, dev sdaa, sector 2048",
    "I/O error, dev sdb, sector 2048",
    "Buffer I/O error on dev xsda1, logical block 3",
    "EXT4-fs (sda1): mounted filesystem 1234 r/w with ordered data mode. Opts: errors=remount-ro",
    "nvme nvme0: 8/0/0 default/read/poll queues",
    "ata10.00: exception Emask 0x0",
    "sda: sda1 sda2",
    "usb 1-1: new high-speed USB device",
  ])("not ours or no trouble: %s", (text) => expect(eventsOf(text)).toEqual([]));

  test("many lines of one cause are one event with a count", () => {
    const lines = Array.from({ length: 50 }, (_, at) => `I/O error, dev sda, sector ${at}`);
    expect(eventsOf(...lines)).toMatchObject([
      { count: 50, text: "I/O error, dev sda, sector 49" },
    ]);
  });

  test("mutated records (seed 7) never throw", () => {
    const text = [
      "6,1,100,-;Linux version 6.18",
      "3,2,200,-,caller=T12;I/O error, dev sda, sector 1\\x0a",
      " SUBSYSTEM=block",
      " DEVICE=b8:0",
    ].join("\n");
    fuzz([text], (input) => parseKernelEvents(parseKernelRecords(input), [sda]), {
      seed: 7,
      count: 3000,
    });
  });
});

/** A host below a folder: its kernel log is a plain file with one record per line. */
function createHost(): { root: string; write(text: string): void } & Disposable {
  const root = mkdtempSync(`${tmpdir()}/monitor-kmsg-`);
  mkdirSync(`${root}/proc/sys/kernel/random`, { recursive: true });
  writeFileSync(`${root}/proc/sys/kernel/random/boot_id`, "boot-1\n");
  writeFileSync(`${root}/proc/uptime`, "5000.00 100.00\n");
  writeFileSync(`${root}/kmsg`, "");
  return {
    root,
    write: (text) => writeFileSync(`${root}/kmsg`, text),
    [Symbol.dispose]: () => rmSync(root, { recursive: true }),
  };
}

describe("the place in the log", () => {
  const line = (number: number, atS: number, text: string) =>
    `3,${number},${atS * 1e6},-;${text}\n`;
  const cursorOf = (root: string, memory = createVolatileMemory()) =>
    openKernelCursor({
      feed: openKernelFeed(`${root}/kmsg`),
      procPath: `${root}/proc`,
      memory,
      key: "kernel.place",
      lookBackMs: 3600_000,
    });

  test("a first look goes back one hour, later ones go on where it ended", () => {
    using host = createHost();
    host.write(line(10, 1000, "old") + line(11, 4000, "recent"));
    const memory = createVolatileMemory();
    const cursor = cursorOf(host.root, memory);
    expect(cursor.next().records.map((r) => r.text)).toEqual(["recent"]);
    expect(cursor.next().records).toEqual([]);
    host.write(line(11, 4000, "recent") + line(12, 4900, "new"));
    // A restarted agent goes on too: the place is in its memory.
    expect(
      cursorOf(host.root, memory)
        .next()
        .records.map((r) => r.text),
    ).toEqual(["new"]);
  });

  test("records that were overwritten meanwhile are counted", () => {
    using host = createHost();
    host.write(line(10, 4000, "a"));
    const cursor = cursorOf(host.root);
    cursor.next();
    host.write(line(15, 4900, "b"));
    expect(cursor.next()).toMatchObject({ lostRecords: 4, records: [{ text: "b" }] });
  });

  test("after a reboot the old place means nothing", () => {
    using host = createHost();
    host.write(line(500, 4000, "before"));
    const cursor = cursorOf(host.root);
    cursor.next();
    writeFileSync(`${host.root}/proc/sys/kernel/random/boot_id`, "boot-2\n");
    writeFileSync(`${host.root}/proc/uptime`, "60.00 1.00\n");
    host.write(line(3, 50, "after"));
    expect(cursor.next().records.map((r) => r.text)).toEqual(["after"]);
  });

  test("what programs write into the log is not the kernel's word", () => {
    using host = createHost();
    host.write("12,1,4900000000,-;I/O error, dev sda, sector 1\n");
    expect(cursorOf(host.root).next().records).toEqual([]);
  });

  test("a log that cannot be read is unknown, not ok", async () => {
    using host = createHost();
    const cursor = cursorOf(`${host.root}/nowhere`);
    const probe = createKernelProbe({ intervalS: 60, cursor, devices: () => [sda] });
    const reading = await probe.run(new AbortController().signal);
    expect(reading.state).toBe("unknown");
    expect(reading.note).toContain("No such file");
  });

  test.skipIf(process.geteuid?.() !== 0)(
    "the real kernel log is read once for two cursors, without waiting, and on from there",
    () => {
      const feed = openKernelFeed("/dev/kmsg");
      const open = () =>
        openKernelCursor({
          feed,
          procPath: "/proc",
          memory: createVolatileMemory(),
          key: "kernel.place",
          lookBackMs: 1e12,
        });
      const [one, other] = [open(), open()];
      const first = one.next();
      expect(first.records.length).toBeGreaterThan(10);
      const numbers = first.records.map((r) => r.sequence);
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
      const again = other.next().records.map((r) => r.sequence);
      expect(again.slice(0, numbers.length)).toEqual(numbers);
      const later = one.next().records.map((r) => r.sequence);
      expect(later.every((sequence) => sequence > (numbers.at(-1) ?? 0))).toBe(true);
    },
  );
});
