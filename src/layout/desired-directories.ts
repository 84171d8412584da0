// Which directories the layout has, with their modes: spec/links.md, "What is laid out". Pure.

import { isWithin, joinPath, parentOf } from "../core/index.ts";
import type { DesiredContext, DesiredDirectory, DesiredLink, DirectoryRole } from "./desired.ts";
import type { LayoutOptions } from "./options.ts";

const groupWritable = 0o020;
const cacheHomeMode = 0o700; // XDG Base Directory Specification: created with 0700

/** Lists every directory of the layout and what has to exist above it, parents before children. */
export function desiredDirectories(
  options: LayoutOptions,
  context: DesiredContext,
  links: readonly DesiredLink[],
): DesiredDirectory[] {
  const { paths } = options;
  const mode = options.links.directoryMode;
  const found = new Map<string, DesiredDirectory>();
  const add = (path: string, role: DirectoryRole, bits = mode) => {
    const at = context.real(path);
    const before = found.get(at);
    // one path in two roles (the Hugging Face cache is the cache root): the wider mode
    found.set(at, {
      path: at,
      mode: (before?.mode ?? 0) | bits,
      owner: context.user.ownership,
      role: before?.role ?? role,
    });
  };
  const under = (base: string, role: DirectoryRole, names: readonly string[]) => {
    for (const name of names) add(joinPath(base, name), role);
  };
  const wide = mode | groupWritable;

  for (const path of [paths.appRoot, paths.appScripts, paths.appConfigs]) add(path, "application");
  add(paths.appLogs, "application", wide);
  add(joinPath(paths.appRoot, "tmp"), "application", wide);
  add(joinPath(paths.appRoot, "model-links"), "application");

  add(paths.modelsRoot, "models");
  add(paths.modelsActive, "models");
  add(paths.modelsArchive, "models");
  under(paths.modelsArchive, "models", ["monthly", "weekly", "daily"]);
  add(paths.modelsCache, "models", wide);
  under(paths.modelsCache, "models", ["tokenizers", "compiled", "temporary"]);
  add(paths.modelsDownloads, "models", wide);
  add(paths.modelsStaging, "models");
  for (const path of [paths.hfCache, paths.torchCache, paths.vllmCache, paths.transformersCache]) {
    add(path, "models");
  }
  const archived = new Set(context.activation.archived);
  for (const name of Object.values(options.modelDirectories)) {
    if (!archived.has(name)) add(joinPath(paths.modelsActive, name), "model");
  }
  add(paths.backupRoot, "backup");
  add(paths.backupModels, "backup");
  under(paths.backupRoot, "backup", ["configs", "logs"]);
  add(paths.backupSystem, "backup");
  under(paths.backupModels, "backup", ["daily", "weekly", "monthly"]);
  under(paths.backupSystem, "backup", ["snapshots", "archives"]);

  return withParents(found, context, links);
}

/** Adds what has to exist above the layout; only what is missing is made, nothing of it is ever changed. */
function withParents(
  found: Map<string, DesiredDirectory>,
  context: DesiredContext,
  links: readonly DesiredLink[],
): DesiredDirectory[] {
  const top = context.real("/");
  const { home, ownership } = context.user;
  if (home !== undefined && links.some(({ role }) => role === "cache")) {
    const path = context.real(joinPath(home, ".cache"));
    found.set(path, { path, mode: cacheHomeMode, owner: ownership, role: "parent" });
    const own = context.real(home);
    if (!found.has(own)) found.set(own, { path: own, mode: 0o755, owner: undefined, role: "home" });
  }
  const add = (child: string, role: DirectoryRole) => {
    for (let at = parentOf(child); at !== top && isWithin(at, top); at = parentOf(at)) {
      if (!found.has(at)) found.set(at, { path: at, mode: 0o755, owner: undefined, role });
    }
  };
  const own = home === undefined ? undefined : context.real(home);
  const inHome = (path: string) => own !== undefined && isWithin(path, own);
  // the parents of ten thousand links are a few directories
  const tops = new Set<string>([...found.keys(), ...links.map((link) => parentOf(link.path))]);
  const below = [...tops].map((path) => `${path}/x`);
  for (const path of below) if (!inHome(path)) add(path, "parent");
  // what lies above the home is not ours to make either
  for (const path of below) add(path, "home");
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}
