// What the layout engine is told: paths, models and link rules, as values. `app/layout.ts` fills it from settings.

/** All paths are host paths: what the booted system calls them. */
export interface LayoutPaths {
  readonly appRoot: string;
  readonly appModels: string;
  readonly appScripts: string;
  readonly appConfigs: string;
  readonly appLogs: string;
  readonly modelsRoot: string;
  readonly modelsActive: string;
  readonly modelsArchive: string;
  readonly modelsCache: string;
  readonly modelsDownloads: string;
  readonly modelsStaging: string;
  readonly backupRoot: string;
  readonly backupModels: string;
  readonly backupSystem: string;
  readonly hfCache: string;
  readonly torchCache: string;
  readonly vllmCache: string;
  readonly transformersCache: string;
}

export interface LinkRules {
  /** Replace links that somebody else made, too. */
  readonly forceRecreate: boolean;
  /** Make no link whose target is missing. */
  readonly verifyTargets: boolean;
  /** Make missing targets (directories). Independent of `verifyTargets`. */
  readonly createMissingTargets: boolean;
  /** Permission bits of directories, whatever the umask is. */
  readonly directoryMode: number;
  /** User name or number. */
  readonly owner: string;
  readonly group: string;
}

export interface LayoutOptions {
  readonly paths: LayoutPaths;
  /** Key to directory name under `modelsActive`. */
  readonly modelDirectories: Readonly<Record<string, string>>;
  /** Alias to key. */
  readonly convenienceLinks: Readonly<Record<string, string>>;
  readonly links: LinkRules;
  /** Storage roots have to be, or lie below, a mount point other than `/`. */
  readonly requireMounts: boolean;
  /** Below `--root`: write targets and the environment script as the booted image sees them. */
  readonly linksInside: boolean;
}
