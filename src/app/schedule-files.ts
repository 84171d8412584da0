// Reads every place where a backup job may stand: our timers, /etc/cron.d, /etc/crontab, and the crontabs of root and
// of the service user, wherever this distribution keeps them.

import { CitadelError, joinPath, nameOf } from "../core/index.ts";
import { isEnabledByLinks, unitDirectories } from "../host/index.ts";
import type { ScheduleFile } from "../host/validate/index.ts";
import { listDirectory, readText } from "../system/index.ts";
import type { HostPaths } from "../system/index.ts";

// Debian, Red Hat and SUSE; host paths.
const crontabDirectories = ["/var/spool/cron/crontabs", "/var/spool/cron", "/var/spool/cron/tabs"];
const maxFiles = 500;

/** @param users whose crontabs are looked at */
export function readScheduleFiles(paths: HostPaths, users: readonly string[]): ScheduleFile[] {
  const cronD = names(paths, "/etc/cron.d").map((name) => `/etc/cron.d/${name}`);
  const tables = crontabDirectories.flatMap((directory) =>
    users.map((user) => `${directory}/${user}`),
  );
  return [
    ...readTimers(paths),
    ...[...cronD, "/etc/crontab"].map((path) => read(paths, path, "system-crontab")),
    ...tables.map((path) => read(paths, path, "crontab")),
  ];
}

function readTimers(paths: HostPaths): ScheduleFile[] {
  return unitDirectories.flatMap((directory) =>
    names(paths, directory)
      .filter((name) => name.startsWith("citadel") && name.endsWith(".timer"))
      .map((name) => {
        const timer = read(paths, `${directory}/${name}`, "timer");
        const service =
          /^Unit=(.*)$/m.exec(timer.text ?? "")?.[1]?.trim() ?? name.replace(/timer$/, "service");
        const file = service.replace(/@[^.]*\./, "@."); // an instance is started from its template
        const instance = /@([^.]*)\./.exec(service)?.[1] ?? "";
        return {
          ...timer,
          enabled: isEnabledByLinks(paths, name),
          serviceText: unitDirectories
            .map((each) => read(paths, `${each}/${file}`, "timer").text)
            .find((text) => text !== undefined)
            ?.replaceAll("%i", instance),
        };
      }),
  );
}

/** Units of ours that start `citadel-agent monitor`; host paths. */
export function findMonitorUnits(paths: HostPaths): string[] {
  return unitDirectories.flatMap((directory) =>
    names(paths, directory)
      .filter((name) => name.startsWith("citadel") && name.endsWith(".service"))
      .map((name) => `${directory}/${name}`)
      .filter((path) =>
        /^ExecStart=.*citadel-agent\b.*\bmonitor\b/m.test(read(paths, path, "timer").text ?? ""),
      ),
  );
}

function names(paths: HostPaths, directory: string): string[] {
  try {
    return (listDirectory(paths.real(directory)) ?? []).slice(0, maxFiles);
  } catch {
    return []; // a directory that we may not list: its files are reported as unreadable where they matter
  }
}

function read(paths: HostPaths, path: string, kind: ScheduleFile["kind"]): ScheduleFile {
  const real = joinPath(paths.real(path));
  try {
    return { path, kind, text: readText(real) };
  } catch (thrown) {
    // A directory of that name (SUSE's tabs, seen as a user's table) is no table.
    if (thrown instanceof CitadelError && thrown.errno === "EISDIR") {
      return { path, kind, text: undefined };
    }
    const unreadable = thrown instanceof Error ? thrown.message : nameOf(path);
    return { path, kind, text: undefined, unreadable };
  }
}
