// Who listens on a TCP port: /proc/net/tcp and tcp6 (proc_pid_net(5)), and the process behind the socket's inode.

import { readdirSync, readlinkSync } from "node:fs";
import { readText } from "./files.ts";

export interface ListeningSocket {
  readonly port: number;
  readonly inode: string;
}

const stateListen = "0A"; // include/net/tcp_states.h: TCP_LISTEN = 10

/** Parses /proc/net/tcp or tcp6: sockets in state LISTEN. */
export function parseListeningSockets(text: string): ListeningSocket[] {
  const sockets: ListeningSocket[] = [];
  for (const line of text.split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [, local, , state] = fields;
    const inode = fields[9];
    if (local === undefined || state !== stateListen || inode === undefined) continue;
    const port = Number.parseInt(local.slice(local.lastIndexOf(":") + 1), 16);
    if (Number.isInteger(port)) sockets.push({ port, inode });
  }
  return sockets;
}

export interface PortHolder {
  /** Undefined where the processes of others cannot be seen. */
  readonly pid: number | undefined;
  readonly command: string | undefined;
}

/** The process that listens on `port`, or undefined when nobody does. @param proc where /proc lies */
export function findPortHolder(port: number, proc = "/proc"): PortHolder | undefined {
  const inodes = new Set<string>();
  for (const file of ["net/tcp", "net/tcp6"]) {
    for (const socket of parseListeningSockets(readText(`${proc}/${file}`) ?? "")) {
      if (socket.port === port) inodes.add(`socket:[${socket.inode}]`);
    }
  }
  if (inodes.size === 0) return undefined;
  const pid = numericNames(proc).find((candidate) => holdsAny(`${proc}/${candidate}/fd`, inodes));
  if (pid === undefined) return { pid: undefined, command: undefined };
  return { pid: Number(pid), command: readText(`${proc}/${pid}/comm`)?.trim() };
}

function numericNames(directory: string): string[] {
  return quietly(() => readdirSync(directory))?.filter((name) => /^\d+$/.test(name)) ?? [];
}

function holdsAny(fdDirectory: string, inodes: ReadonlySet<string>): boolean {
  const names = quietly(() => readdirSync(fdDirectory)) ?? [];
  return names.some((name) => {
    const target = quietly(() => readlinkSync(`${fdDirectory}/${name}`));
    return target !== undefined && inodes.has(target);
  });
}

/** A process may end, or belong to another user, while we look: both only mean that it is not seen. */
function quietly<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch {
    return undefined;
  }
}
