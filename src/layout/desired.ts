// The desired layout: which directories, links and files a host with these settings should have. Pure: settings,
// recorded choices and the owner go in, a list comes out. What is there is `actual.ts`.

import { CitadelError, isWithin, joinPath, parentOf, type AbsolutePath } from "../core/index.ts";
import { chooseAliases, type Activation, type AliasChoice } from "./activation.ts";
import { environmentValues, type EnvironmentValues } from "./env-values.ts";
import { formatShScript } from "./env-script.ts";
import type { LayoutOptions, LayoutPaths } from "./options.ts";

export interface Ownership {
  readonly uid: number;
  readonly gid: number;
}

/** The service user as the host knows it; ids are undefined where it does not exist. */
export interface ServiceUser {
  readonly ownership: Ownership | undefined;
  /** Host path of the home directory. */
  readonly home: string | undefined;
  /** Why there are no ids or no home, for a person. */
  readonly problem: string | undefined;
}

export type DirectoryRole = "parent" | "home" | "application" | "models" | "model" | "backup";

export interface DesiredDirectory {
  readonly path: AbsolutePath;
  /** Permission bits; for `parent` only used when it is made, never compared. A `home` is never made. */
  readonly mode: number;
  readonly owner: Ownership | undefined;
  readonly role: DirectoryRole;
}

export type LinkRole = "primary" | "convenience" | "cache";

export interface DesiredLink {
  readonly path: AbsolutePath;
  /** The text of the link. */
  readonly target: string;
  /** Where the target really lies (below `--root` also with `--links inside`). */
  readonly targetPath: AbsolutePath;
  readonly role: LinkRole;
  readonly alias?: string | undefined;
  readonly owner: Ownership | undefined;
}

export interface DesiredFile {
  readonly path: AbsolutePath;
  readonly content: string;
  readonly mode: number;
}

export interface SkippedLink {
  readonly path: AbsolutePath;
  readonly reason: string;
}

export interface DesiredLayout {
  /** Parents before children. */
  readonly directories: readonly DesiredDirectory[];
  readonly links: readonly DesiredLink[];
  readonly files: readonly DesiredFile[];
  /** Links that cannot be wanted on this host, each with the reason. */
  readonly skipped: readonly SkippedLink[];
  /** Real path of the service user's home; undefined where cache links are skipped. */
  readonly home: AbsolutePath | undefined;
  /** Real paths of the models root and the backup root. */
  readonly storageRoots: readonly AbsolutePath[];
  readonly environment: EnvironmentValues;
  readonly aliases: readonly AliasChoice[];
  readonly warnings: readonly string[];
}

export interface DesiredContext {
  /** Host path to real path: HostPaths.real. */
  readonly real: (hostPath: string) => AbsolutePath;
  /** Real path to host path: HostPaths.host. */
  readonly host: (realPath: string) => AbsolutePath;
  readonly user: ServiceUser;
  readonly activation: Activation;
}

const groupWritable = 0o020;
const cacheHomeMode = 0o700; // XDG Base Directory Specification: created with 0700
const scriptMode = 0o644;

/**
 * Computes the desired layout.
 * @throws kind `settings`, codes `ALIAS_COLLISION` and `LAYOUT_OVERLAP`
 */
export function desiredLayout(options: LayoutOptions, context: DesiredContext): DesiredLayout {
  const { paths } = options;
  const aliases = chooseAliases(
    options.modelDirectories,
    options.convenienceLinks,
    context.activation,
  );
  const { links, skipped } = desiredLinks(options, context, aliases);
  const directories = desiredDirectories(options, context, aliases, links);
  assertNoOverlap(directories, links);
  const environment = desiredEnvironment(options, context, aliases);
  const script = joinPath(context.real(paths.appConfigs), "storage-env.sh");
  return {
    directories,
    links,
    files: [{ path: script, content: formatShScript(environment), mode: scriptMode }],
    skipped,
    home: skipped.length === 0 ? context.real(context.user.home ?? "/") : undefined,
    storageRoots: [context.real(paths.modelsRoot), context.real(paths.backupRoot)],
    environment,
    aliases,
    warnings: aliases.flatMap(({ alias, superseded, directory }) =>
      superseded === undefined
        ? []
        : [
            `${alias}: the setting changed after \`models activate\`: it points at ${directory} now, not at ${superseded}`,
          ],
    ),
  };
}

/** The host path of the directory that an alias means. */
export function modelDirectoryOf(paths: LayoutPaths, choice: AliasChoice): string {
  const { directory } = choice;
  return directory.startsWith("/") ? directory : joinPath(paths.modelsActive, directory);
}

function desiredEnvironment(
  options: LayoutOptions,
  context: DesiredContext,
  aliases: readonly AliasChoice[],
): EnvironmentValues {
  const shown = (path: string) =>
    options.linksInside ? context.host(context.real(path)) : context.real(path);
  const paths = Object.fromEntries(
    Object.entries(options.paths).map(([name, path]) => [name, shown(path as string)]),
  ) as unknown as LayoutPaths;
  return environmentValues(paths, aliases, (choice) =>
    shown(modelDirectoryOf(options.paths, choice)),
  );
}

function desiredLinks(
  options: LayoutOptions,
  context: DesiredContext,
  aliases: readonly AliasChoice[],
): { links: DesiredLink[]; skipped: SkippedLink[] } {
  const { paths } = options;
  const { user } = context;
  const link = (path: string, to: string, role: LinkRole, alias?: string): DesiredLink => {
    const targetPath = context.real(to);
    const target = options.linksInside ? context.host(targetPath) : targetPath;
    return { path: context.real(path), target, targetPath, role, alias, owner: user.ownership };
  };
  const links = [
    link(paths.appModels, paths.modelsActive, "primary"),
    link(joinPath(paths.appRoot, "downloads"), paths.modelsDownloads, "primary"),
    link(joinPath(paths.appRoot, "staging"), paths.modelsStaging, "primary"),
  ];
  for (const choice of aliases) {
    const path = joinPath(paths.appRoot, "model-links", choice.alias);
    links.push(link(path, modelDirectoryOf(paths, choice), "convenience", choice.alias));
  }
  const caches: [string, string][] = [
    ["huggingface", paths.hfCache],
    ["torch", paths.torchCache],
  ];
  const { home } = user;
  if (home !== undefined && user.ownership !== undefined) {
    for (const [name, to] of caches) {
      links.push(link(joinPath(home, ".cache", name), to, "cache"));
    }
    return { links, skipped: [] };
  }
  const reason = user.problem ?? "the service user has no home directory";
  const place = home ?? `/home/${options.links.owner}`; // where it would be, for the listing
  const skipped = caches.map(([name]) => {
    return { path: context.real(joinPath(place, ".cache", name)), reason };
  });
  return { links, skipped };
}

function desiredDirectories(
  options: LayoutOptions,
  context: DesiredContext,
  aliases: readonly AliasChoice[],
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
  for (const choice of aliases) {
    // a directory that a person activated is looked at, not made: its content is what matters
    if (choice.origin === "settings" && !archived.has(choice.directory)) {
      add(modelDirectoryOf(paths, choice), "model");
    }
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
  for (const path of [...found.keys(), ...links.map((link) => link.path)]) {
    if (!inHome(path)) add(path, "parent");
  }
  // what lies above the home is not ours to make either
  for (const path of [...found.keys(), ...links.map((link) => link.path)]) add(path, "home");
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function assertNoOverlap(
  directories: readonly DesiredDirectory[],
  links: readonly DesiredLink[],
): void {
  const paths = new Set<string>(directories.map(({ path }) => path));
  const taken = new Set<string>();
  for (const link of links) {
    const inside = isWithin(link.path, link.targetPath);
    if (!inside && !paths.has(link.path) && !taken.has(link.path)) {
      taken.add(link.path);
      continue;
    }
    throw new CitadelError({
      kind: "settings",
      code: "LAYOUT_OVERLAP",
      message: inside
        ? `the link ${link.path} would lie inside its own target ${link.targetPath}`
        : `${link.path} is to be a link and something else as well`,
      path: link.path,
      hint: "give each link and directory a path of its own (`citadel-agent config show`)",
    });
  }
}
