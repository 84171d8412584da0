// Which build this is. The constants are filled in by scripts/build.ts (`--define`).

declare const BUILD_VERSION: string | undefined;
declare const BUILD_COMMIT: string | undefined;
declare const BUILD_TIME: string | undefined;
declare const BUILD_TARGET: string | undefined;

export interface Version {
  readonly version: string;
  readonly commit: string;
  readonly bun: string;
  readonly built: string;
  readonly target: string;
}

/** The facts of this build; a run from the sources says `development`. */
export function version(): Version {
  return {
    version: typeof BUILD_VERSION === "undefined" ? "0.0.0-development" : BUILD_VERSION,
    commit: typeof BUILD_COMMIT === "undefined" ? "development" : BUILD_COMMIT,
    bun: Bun.version,
    built: typeof BUILD_TIME === "undefined" ? "development" : BUILD_TIME,
    target: typeof BUILD_TARGET === "undefined" ? "development" : BUILD_TARGET,
  };
}

/** One line for a person. */
export function versionText(): string {
  const { version: number, commit, bun, built, target } = version();
  return `citadel-agent ${number} (${commit}, ${built}, Bun ${bun}, ${target})`;
}
