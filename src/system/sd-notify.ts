// Messages to the service manager (sd_notify(3)). Bun has no unix datagram sockets, so the three calls go through
// bun:ffi; where that is not to be had, systemd-notify(1) is asked, which needs `NotifyAccess=all`.
// Protocol: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html

import { dlopen, FFIType } from "bun:ffi";
import { runProcess } from "./processes.ts";

export interface ServiceManager {
  /** How messages travel; `none`: nobody asked for any. */
  readonly channel: "socket" | "systemd-notify" | "none";
  /** How long the manager waits for a sign of life, in milliseconds; undefined: it does not watch. */
  readonly watchdogMs: number | undefined;
  /** Sends `READY=1`, `STATUS=…`; several at once. Never throws. @returns whether it was handed over */
  notify(fields: Readonly<Record<string, string>>): Promise<boolean>;
}

type Send = (message: Uint8Array) => boolean;

const afUnix = 1;
const sockDgram = 2;
const sockCloexec = 0o2000000;
const maxPathBytes = 108; // sizeof sun_path, unix(7)
const toolTimeoutMs = 2000;

/**
 * Connects to the manager named by NOTIFY_SOCKET.
 * @param variables the environment; WATCHDOG_PID other than our own means the watchdog is another's
 */
export function openServiceManager(
  variables: Readonly<Record<string, string | undefined>>,
  pid: number,
): ServiceManager {
  const address = variables["NOTIFY_SOCKET"];
  if (address === undefined || !/^[/@]./.test(address)) {
    return { channel: "none", watchdogMs: undefined, notify: () => Promise.resolve(false) };
  }
  const watchdogMs = readWatchdog(variables, pid);
  const send = openSocket(address);
  if (send !== undefined) {
    const notify = (fields: Readonly<Record<string, string>>) =>
      Promise.resolve(send(new TextEncoder().encode(formatFields(fields))));
    return { channel: "socket", watchdogMs, notify };
  }
  return { channel: "systemd-notify", watchdogMs, notify: (fields) => runTool(address, fields) };
}

/** One `KEY=VALUE` per line; a newline in a value would be another key. */
function formatFields(fields: Readonly<Record<string, string>>): string {
  return Object.entries(fields)
    .map(([key, value]) => `${key}=${value.replaceAll(/[\n\0]/g, " ")}`)
    .join("\n");
}

function readWatchdog(
  variables: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | undefined {
  const usec = Number(variables["WATCHDOG_USEC"]);
  const owner = variables["WATCHDOG_PID"];
  if (!Number.isFinite(usec) || usec <= 0) return undefined;
  return owner !== undefined && owner !== String(pid) ? undefined : usec / 1000;
}

async function runTool(
  address: string,
  fields: Readonly<Record<string, string>>,
): Promise<boolean> {
  try {
    const { exitCode } = await runProcess(["systemd-notify", ...formatFields(fields).split("\n")], {
      timeoutMs: toolTimeoutMs,
      environment: { NOTIFY_SOCKET: address },
    });
    return exitCode === 0;
  } catch {
    return false; // no such tool: the unit's start times out, which says it
  }
}

const libraries = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

function openSocket(address: string): Send | undefined {
  const target = toSocketAddress(address);
  if (target === undefined || process.env["CITADEL_TEST_NO_FFI"] === "1") return undefined;
  for (const library of libraries) {
    try {
      const { symbols } = dlopen(library, {
        socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
        sendto: {
          args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
          returns: FFIType.i64,
        },
      });
      const fd = symbols.socket(afUnix, sockDgram | sockCloexec, 0);
      if (fd < 0) return undefined;
      const dontWait = 0x40; // MSG_DONTWAIT: a manager that does not read must not stop us
      return (message) =>
        Number(symbols.sendto(fd, message, message.length, dontWait, target, target.length)) ===
        message.length;
    } catch {
      // not this C library: the next name, or no FFI at all
    }
  }
  return undefined;
}

/** struct sockaddr_un; `@name` is an abstract name: a zero byte first, no zero at the end (unix(7)). */
function toSocketAddress(address: string): Buffer | undefined {
  const name = Buffer.from(address.startsWith("@") ? `\0${address.slice(1)}` : `${address}\0`);
  if (name.length > maxPathBytes) return undefined;
  const family = Buffer.alloc(2);
  family.writeUInt16LE(afUnix);
  return Buffer.concat([family, name]);
}
