// The desired layout: which directories, links and files a host with these settings should have. Pure: settings,
// recorded choices and the owner go in, a list comes out. What is there is `actual.ts`.

import { CitadelError, isWithin, joinPath, type AbsolutePath } from "../core/index.ts";
import { chooseAliases, type Activation, type AliasChoice } from "./activation.ts";
import { environmentValues, type EnvironmentValues } from "./env-values.ts";
import { desiredDirectories } from "./desired-directories.ts";
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
  /** Where the environment script lies; `files` holds it with its content. */
  readonly scriptPath: AbsolutePath;
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
  // a check of links needs neither the directories nor the script: they are made when somebody asks
  const directories = once(() => {
    const made = desiredDirectories(options, context, links);
    assertNoOverlap(made, links);
    return made;
  });
  const environment = once(() => desiredEnvironment(options, context, aliases));
  const scriptPath = joinPath(context.real(paths.appConfigs), "storage-env.sh");
  const files = once(() => [
    { path: scriptPath, content: formatShScript(environment()), mode: scriptMode },
  ]);
  return {
    get directories() {
      return directories();
    },
    get files() {
      return files();
    },
    get environment() {
      return environment();
    },
    scriptPath,
    links,
    skipped,
    home: skipped.length === 0 ? context.real(context.user.home ?? "/") : undefined,
    storageRoots: [context.real(paths.modelsRoot), context.real(paths.backupRoot)],
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

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/** The host path of the directory that an alias means. */
export function modelDirectoryOf(paths: LayoutPaths, choice: AliasChoice): string {
  const { directory } = choice;
  // a single name: settings refuse separators, `.` and `..`
  return directory.startsWith("/") ? directory : `${paths.modelsActive}/${directory}`;
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

/** Target text and place by host path; many aliases can mean one directory. */
function targetsOf(options: LayoutOptions, context: DesiredContext) {
  const known = new Map<string, Pick<DesiredLink, "target" | "targetPath">>();
  return (to: string) => {
    const before = known.get(to);
    if (before !== undefined) return before;
    const targetPath = context.real(to);
    const target = options.linksInside ? context.host(targetPath) : targetPath;
    const made = { target, targetPath };
    known.set(to, made);
    return made;
  };
}

function desiredLinks(
  options: LayoutOptions,
  context: DesiredContext,
  aliases: readonly AliasChoice[],
): { links: DesiredLink[]; skipped: SkippedLink[] } {
  const { paths } = options;
  const { user } = context;
  const owner = user.ownership;
  const ends = targetsOf(options, context);
  const link = (path: string, to: string, role: LinkRole): DesiredLink => {
    return { path: context.real(path), ...ends(to), role, alias: undefined, owner };
  };
  const links = [
    link(paths.appModels, paths.modelsActive, "primary"),
    link(joinPath(paths.appRoot, "downloads"), paths.modelsDownloads, "primary"),
    link(joinPath(paths.appRoot, "staging"), paths.modelsStaging, "primary"),
  ];
  const folder = context.real(joinPath(paths.appRoot, "model-links"));
  for (const choice of aliases) {
    const { alias } = choice;
    // aliases are single names (settings refuse others), so that nothing has to be normalized ten thousand times
    const path = `${folder}/${alias}` as AbsolutePath;
    const target = ends(modelDirectoryOf(paths, choice));
    links.push({ path, ...target, role: "convenience", alias, owner });
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
