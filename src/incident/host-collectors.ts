// What the host says about itself: kernel, mounts, disks, units, logs. Read from /proc and from the tools that a
// Linux host has; each tool that is missing is simply absent from the bundle.

import { CitadelError, joinPath, type AbsolutePath } from "../core/index.ts";
import { readText, runProcess, type HostPaths } from "../system/index.ts";
import { readLogEnd } from "../system/log-end.ts";
import type { Collector } from "./collect.ts";

const toolTimeoutMs = 4000;
const logEndBytes = 2 * 1024 * 1024;

/** A file of the host, by its real path. */
export function fileCollector(file: string, path: string): Collector {
  return { file, collect: () => readText(path) };
}

interface CommandOptions {
  readonly plain?: boolean;
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

/**
 * The end of a log in the service user's tree: a link there could lead to /etc/shadow, and the bundle is mailed. No
 * part of its path is followed, a FIFO is not waited for, and of a huge file only the end is read.
 */
export function logCollector(file: string, directory: AbsolutePath, name: string): Collector {
  return { file, collect: () => readLogEnd(directory, name, logEndBytes) };
}

/** A command of the host: its output, and how it ended where that was not with 0. */
export function commandCollector(
  file: string,
  command: readonly string[],
  /** `plain`: the output alone where there is any, so that a document stays one. */
  { plain = false, environment }: CommandOptions = {},
): Collector {
  return {
    file,
    async collect(signal) {
      try {
        const run = await runProcess(command, { timeoutMs: toolTimeoutMs, signal, environment });
        const ending = run.timedOut
          ? `\n[${command[0]} did not answer within ${toolTimeoutMs / 1000} s]`
          : run.exitCode === 0
            ? ""
            : `\n[exit code ${run.exitCode ?? run.signal}]`;
        if (plain && run.stdout !== "" && !run.timedOut) return run.stdout;
        return `$ ${command.join(" ")}\n${run.stdout}${run.stderr}${ending}\n`;
      } catch (thrown) {
        if (thrown instanceof CitadelError && thrown.code === "TOOL_MISSING") return undefined;
        throw thrown;
      }
    },
  };
}

const procFiles = [
  "version",
  "uptime",
  "loadavg",
  "meminfo",
  "cmdline",
  "mdstat",
  "diskstats",
  "pressure/io",
  "pressure/memory",
];

/** Everything about the host that does not depend on our settings. Below `--root` only files of that tree. */
export function hostCollectors(hostPaths: HostPaths): Collector[] {
  const { proc } = hostPaths;
  const files = [
    fileCollector("host/os-release.txt", joinPath(hostPaths.etc, "os-release")),
    fileCollector("mounts/fstab.txt", joinPath(hostPaths.etc, "fstab")),
    fileCollector(
      "mounts/udev-rules.txt",
      joinPath(hostPaths.etc, "udev/rules.d/99-citadel-storage.rules"),
    ),
    fileCollector("agent/status.json", joinPath(hostPaths.runtimeDir, "status.json")),
    fileCollector("agent/smart.json", joinPath(hostPaths.runtimeDir, "smart.json")),
  ];
  if (proc !== undefined) {
    files.push(fileCollector("mounts/mountinfo.txt", joinPath(proc, "self/mountinfo")));
    for (const name of procFiles) {
      files.push(fileCollector(`host/${name.replace("/", "-")}.txt`, joinPath(proc, name)));
    }
  }
  return hostPaths.relocated ? files : [...files, ...toolCollectors];
}

const toolCollectors: readonly Collector[] = [
  commandCollector("host/uname.txt", ["uname", "-a"]),
  commandCollector("mounts/df.txt", ["df", "-PTk"]),
  commandCollector("mounts/df-inodes.txt", ["df", "-Pi"]),
  commandCollector("mounts/lsblk.txt", [
    "lsblk",
    "-o",
    "NAME,TYPE,SIZE,FSTYPE,LABEL,UUID,MOUNTPOINT,ROTA,SCHED,MODEL",
  ]),
  commandCollector("mounts/findmnt-verify.txt", ["findmnt", "--verify"]),
  commandCollector("host/kernel-log.txt", [
    "dmesg",
    "--time-format=iso",
    "--level=emerg,alert,crit,err,warn",
  ]),
  commandCollector("host/gpus.txt", ["nvidia-smi", "-q", "-d", "MEMORY,ECC,TEMPERATURE"]),
  commandCollector("agent/units.txt", [
    "systemctl",
    "--no-pager",
    "--full",
    "status",
    "citadel-agent*",
    "fstrim.timer",
  ]),
  commandCollector("agent/journal.txt", [
    "journalctl",
    "--no-pager",
    "--output=short-iso",
    "--lines=500",
    "--unit=citadel-agent*",
  ]),
  commandCollector("agent/processes.txt", [
    "ps",
    "-eo",
    "pid,ppid,user,stat,wchan:20,etimes,rss,args",
    "--sort=-rss",
  ]),
];
