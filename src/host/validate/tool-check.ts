// Check 1: the programs that the seed requires on the host. The agent itself needs smartctl alone.

import type { Check } from "./check.ts";

/** Program, package, and what is lost without it. */
export const requiredTools = [
  { name: "iostat", package: "sysstat", use: "for people: I/O statistics by hand" },
  {
    name: "smartctl",
    package: "smartmontools",
    use: "without it the agent cannot read SMART health and disk temperatures",
  },
  { name: "tree", package: "tree", use: "for people: looking at directories" },
  { name: "rsync", package: "rsync", use: "for people: copying by hand" },
] as const;

/** The command that installs packages, by the ID and ID_LIKE of os-release(5). */
export function installCommand(osRelease: string | undefined): string {
  const ids = [...(osRelease ?? "").matchAll(/^(?:ID|ID_LIKE)=(.*)$/gm)]
    .flatMap((match) => (match[1] ?? "").replaceAll('"', "").split(/\s+/))
    .join(" ");
  if (/\b(?:rhel|fedora|centos)\b/.test(ids)) return "dnf install";
  if (/\bsuse\b|\bopensuse/.test(ids)) return "zypper install";
  if (/\balpine\b/.test(ids)) return "apk add";
  if (/\barch\b/.test(ids)) return "pacman -S";
  return "apt-get install";
}

/** @param find where a program lies; undefined: not installed */
export function checkTools(
  find: (name: string) => string | undefined,
  osRelease: string | undefined,
): Check {
  const missing = requiredTools.filter((tool) => find(tool.name) === undefined);
  const present = requiredTools.flatMap((tool) => find(tool.name) ?? []);
  const lost = missing.map((tool) => `${tool.name} missing (${tool.use})`);
  const ok = missing.length === 0;
  return {
    id: "tools",
    name: "Required Tools",
    ok,
    found: ok ? present.join(", ") : lost.join("; "),
    wanted: requiredTools.map((tool) => tool.name).join(", "),
    fix: ok
      ? null
      : `${installCommand(osRelease)} ${missing.map((tool) => tool.package).join(" ")}`,
  };
}
