// A host below --root with a service user, for tests that run the program on it.

import { chownSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { runCli, type CliResult, type RunCliOptions } from "./run-cli.ts";

export const isRoot = process.getuid?.() === 0;
export const serviceUid = isRoot ? 4711 : (process.getuid?.() ?? 0);
export const serviceGid = isRoot ? 4712 : (process.getgid?.() ?? 0);

export interface LayoutRoot extends Disposable {
  readonly path: string;
  /** A path of the host, really. */
  at(hostPath: string): string;
  /** Runs `citadel-agent --root PATH ARGS…`. */
  run(args: readonly string[], options?: RunCliOptions): Promise<CliResult>;
  /** Type, mode, owner, target or content of everything below, the agent's own state left out. */
  snapshot(): Record<string, string>;
}

export interface LayoutRootOptions {
  readonly user?: boolean;
  /** A part of the root's name: blanks, quotes, newlines. */
  readonly name?: string;
}

/** @param options `user: false`: no service user on this host */
export function createLayoutRoot({
  user = true,
  name = "root",
}: LayoutRootOptions = {}): LayoutRoot {
  const folder = mkdtempSync(`${tmpdir()}/citadel-layout-`);
  const path = `${folder}/${name}`;
  mkdirSync(`${path}/etc`, { recursive: true });
  const agent = `agent0:x:${serviceUid}:${serviceGid}::/home/agent0:/bin/sh\n`;
  writeFileSync(`${path}/etc/passwd`, `root:x:0:0::/root:/bin/sh\n${user ? agent : ""}`);
  writeFileSync(`${path}/etc/group`, `root:x:0:\n${user ? `agent0:x:${serviceGid}:\n` : ""}`);
  mkdirSync(`${path}/home/agent0`, { recursive: true });
  if (isRoot) chownSync(`${path}/home/agent0`, serviceUid, serviceGid);
  return {
    path,
    at: (hostPath) => path + hostPath,
    run: (args, options) => runCli(["--root", path, ...args], options),
    snapshot: () => snapshotTree(path),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

const own = new Set(["/var", "/run"]);

function snapshotTree(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  const pending = [""];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    for (const name of readdirSync(root + at)) {
      const path = `${at}/${name}`;
      if (own.has(path) || name === "agent.log") continue;
      const stat = lstatSync(root + path);
      const owner = `${stat.uid}:${stat.gid}`;
      const mode = (stat.mode & 0o7777).toString(8);
      if (stat.isSymbolicLink()) found[path] = `link ${owner} ${readlinkSync(root + path)}`;
      else if (stat.isDirectory()) {
        found[path] = `directory ${mode} ${owner}`;
        pending.push(path);
      } else found[path] = `file ${mode} ${owner} ${readFileSync(root + path, "utf8")}`;
    }
  }
  return found;
}

export interface PlanDocument {
  readonly schema: string;
  readonly steps: readonly {
    readonly op: string;
    readonly path: string;
    readonly from: string | null;
    readonly to: string | null;
    readonly why: string;
    readonly done?: boolean;
  }[];
  readonly conflicts: readonly { readonly path: string; readonly code: string }[];
  readonly left: readonly {
    readonly path: string;
    readonly state: string;
    readonly hint: string;
  }[];
  readonly plan_hash: string;
  readonly created: number;
  readonly replaced: number;
  readonly removed: number;
  readonly unchanged: number;
  readonly transaction: number | null;
  readonly generation: number | null;
}

export interface LinksDocument {
  readonly total: number;
  readonly healthy: number;
  readonly issues: readonly {
    readonly path: string;
    readonly expected: string | null;
    readonly actual: string | null;
    readonly state: string;
  }[];
}
