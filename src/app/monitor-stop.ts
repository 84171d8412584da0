// Ending the daemon from another process: through systemd where it runs as our unit (else systemd would start it
// again), with a signal to the holder of the lock where it does not.

import { CitadelError } from "../core/index.ts";
import { readText, runProcess } from "../system/index.ts";
import { isLockHeld, readLockHolder } from "../system/lock.ts";
import { sendSignal } from "../system/process-state.ts";
import type { App } from "./app.ts";

export interface StopReport {
  readonly pid: number;
  readonly by: "systemd" | "signal";
}

const unit = "citadel-agent.service";
const stopWithinMs = 60_000;
const lookEveryMs = 50;

/**
 * Stops the daemon and waits until it is gone.
 * @throws kind `not-found`, code MONITOR_NOT_RUNNING (exit 1); kind `timeout`, code MONITOR_NOT_STOPPED
 */
export async function stopMonitor(app: App, signal: AbortSignal): Promise<StopReport> {
  const { clock, hostPaths } = app.system;
  const holder = readLockHolder(hostPaths.runtimeDir, "daemon");
  if (holder === undefined) throw notRunning();
  const by = isOurUnit(holder.pid) ? "systemd" : "signal";
  if (by === "systemd") {
    const { exitCode, stderr } = await runProcess(["systemctl", "stop", unit], {
      timeoutMs: stopWithinMs,
      signal,
    });
    if (exitCode !== 0) throw notStopped(holder.pid, stderr.trim());
  } else sendSignal(holder.pid, "SIGTERM");
  const deadlineMs = clock.monotonicMs() + stopWithinMs;
  while (isLockHeld(hostPaths.runtimeDir, "daemon")) {
    signal.throwIfAborted();
    if (clock.monotonicMs() > deadlineMs) throw notStopped(holder.pid, "");
    await clock.sleep(lookEveryMs, signal);
  }
  return { pid: holder.pid, by };
}

/** Whether the process belongs to the unit of the service. */
function isOurUnit(pid: number): boolean {
  return readText(`/proc/${pid}/cgroup`)?.includes(`/${unit}`) ?? false;
}

function notRunning(): CitadelError {
  return new CitadelError({
    kind: "not-found",
    code: "MONITOR_NOT_RUNNING",
    message: "no monitor runs here",
    hint: "start it with `systemctl start citadel-agent`, or `citadel-agent monitor`",
  });
}

function notStopped(pid: number, said: string): CitadelError {
  return new CitadelError({
    kind: "timeout",
    code: "MONITOR_NOT_STOPPED",
    message: `the monitor, process ${pid}, did not end${said === "" ? "" : `: ${said}`}`,
    hint: `see what it waits for (\`cat /proc/${pid}/stack\`); \`kill -9 ${pid}\` loses nothing`,
  });
}
