// TRIM by systemd's weekly timer, never by the `discard` mount option. On a running host through systemctl; below
// `--root` by the link that `systemctl enable` would make.

import { joinPath, type AbsolutePath } from "../core/index.ts";
import { listDirectory, lstat, readlink, runProcess } from "../system/index.ts";
import type { HostPaths } from "../system/index.ts";
import type { Operation } from "../transaction/index.ts";

export const trimTimer = "fstrim.timer";

/** What is known about the timer. `enabled` and `active` are systemctl's own words. */
export interface TrimFacts {
  /** A host path of the unit file; undefined: not installed. */
  readonly unitPath: string | undefined;
  readonly enabled: string;
  readonly active: string;
}

const toolTimeoutMs = 10_000;

/** Reads the timer's state: from systemctl where systemd runs, else from the links it would make. */
export async function readTrimFacts(
  paths: HostPaths,
  systemd: boolean,
  signal?: AbortSignal,
): Promise<TrimFacts> {
  const unitPath = unitPaths(trimTimer).find((path) => lstat(paths.real(path)) !== undefined);
  if (systemd) {
    const ask = async (word: string) => {
      const options = { timeoutMs: toolTimeoutMs, signal };
      const run = await runProcess(["systemctl", word, trimTimer], options);
      return run.stdout.trim() === "" ? "unknown" : run.stdout.trim();
    };
    return { unitPath, enabled: await ask("is-enabled"), active: await ask("is-active") };
  }
  if (unitPath === undefined) return { unitPath, enabled: "not-found", active: "unknown" };
  if (isMasked(paths.real(unitPath))) return { unitPath, enabled: "masked", active: "unknown" };
  return {
    unitPath,
    enabled: isEnabledByLinks(paths, trimTimer) ? "enabled" : "disabled",
    active: "unknown",
  };
}

/** A unit that is a link to /dev/null can never be started (systemctl mask). */
const isMasked = (path: string) => lstat(path)?.type === "link" && readlink(path) === "/dev/null";

/** Whether any target wants the unit (systemctl enable makes such a link; distributions ship some in /usr/lib). */
export function isEnabledByLinks(paths: Pick<HostPaths, "real">, unit: string): boolean {
  return unitDirectories.some((directory) =>
    (listDirectory(paths.real(directory)) ?? [])
      .filter((name) => name.endsWith(".wants") || name.endsWith(".requires"))
      .some((name) => lstat(paths.real(`${directory}/${name}/${unit}`)) !== undefined),
  );
}

// `systemctl start` answers 0 for a unit whose conditions do not hold (systemd.unit(5)), and nothing runs.
const startTimer = [
  "sh",
  "-c",
  'systemctl start "$1" && { systemctl is-active --quiet "$1" || { echo "$1 was not started: a condition of it does not hold, see systemctl status $1" >&2; exit 1; }; }',
  "sh",
  trimTimer,
];

/** The steps on a running host: each has its own undo, so a timer that was started but not enabled comes back so. */
export function trimOperations(
  facts: TrimFacts,
  paths: Readonly<Record<"enable" | "start", AbsolutePath>>,
): Operation[] {
  const step = (
    word: "enable" | "start",
    undo: "disable" | "stop",
    read: "is-enabled" | "is-active",
    before: string,
    after: string,
  ): Operation => ({
    op: "run_command",
    path: paths[word],
    why: `systemctl ${word} ${trimTimer}: discard unused blocks weekly, without the discard mount option`,
    before: { type: "external", value: before },
    after: { type: "external", value: after },
    command: {
      // The exit code of is-enabled is 1 for "disabled"; the word on stdout is the state.
      read: ["sh", "-c", 'systemctl "$1" "$2" || true', "sh", read, trimTimer],
      apply: word === "start" ? startTimer : ["systemctl", word, trimTimer],
      undo: ["systemctl", undo, trimTimer],
      timeoutMs: 30_000,
    },
  });
  const steps: Operation[] = [];
  if (facts.enabled === "disabled") {
    steps.push(step("enable", "disable", "is-enabled", "disabled", "enabled"));
  }
  if (facts.active === "inactive") {
    steps.push(step("start", "stop", "is-active", "inactive", "active"));
  }
  return steps;
}

/** A host path: the link that enables the timer. */
export const trimWantsPath = `/etc/systemd/system/timers.target.wants/${trimTimer}`;

/** The step below `--root`: the link that `systemctl enable` would make. */
export function trimLinkOperation(
  unitPath: string,
  real: (hostPath: string) => AbsolutePath,
): Operation {
  return {
    op: "create_link",
    path: real(trimWantsPath),
    why: `enables ${trimTimer} at the next boot`,
    before: { type: "absent" },
    after: { type: "link", target: unitPath },
  };
}

/** Where systemd looks for units, most specific first (systemd.unit(5)); host paths. */
export const unitDirectories = [
  "/etc/systemd/system",
  "/run/systemd/system",
  "/usr/local/lib/systemd/system",
  "/usr/lib/systemd/system",
  "/lib/systemd/system",
] as const;

/** `/mnt/citadel-models` to `mnt-citadel\x2dmodels.mount`, as systemd-escape(1) --path does. */
export function mountUnitName(mountpoint: string): string {
  const trimmed = mountpoint.replace(/^\/+|\/+$/g, "");
  if (trimmed === "") return "-.mount";
  const escaped = [...Buffer.from(trimmed)].map((byte, at) => {
    const character = String.fromCharCode(byte);
    if (character === "/") return "-";
    const plain = /[A-Za-z0-9:_.]/.test(character) && !(at === 0 && character === ".");
    return plain ? character : `\\x${byte.toString(16).padStart(2, "0")}`;
  });
  return `${escaped.join("")}.mount`;
}

/** Paths where a unit of this name may lie. */
export function unitPaths(name: string): AbsolutePath[] {
  return unitDirectories.map((directory) => joinPath(directory, name));
}
