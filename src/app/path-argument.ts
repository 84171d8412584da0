// Paths that people type: absolute as on the host, or relative to where they stand.

import {
  absolutePath,
  CitadelError,
  isWithin,
  joinPath,
  type AbsolutePath,
} from "../core/index.ts";
import type { App } from "./app.ts";

/**
 * The real path of an argument. An absolute one is taken below --root; a relative one counts from the working
 * directory, which with --root has to lie in that tree (or it would mean another place than the caller sees).
 * @throws kind `usage`, code PATH_NOT_ABSOLUTE
 */
export function pathArgument(app: App, typed: string): AbsolutePath {
  const { environment, hostPaths } = app.system;
  if (typed.startsWith("/")) return hostPaths.real(absolutePath(typed));
  const directory = environment.workingDirectory;
  if (typed !== "" && !typed.includes("\0") && isWithin(directory, hostPaths.root)) {
    return joinPath(directory, typed);
  }
  throw new CitadelError({
    kind: "usage",
    code: "PATH_NOT_ABSOLUTE",
    message: `not an absolute path: ${JSON.stringify(typed)}`,
    hint:
      typed === ""
        ? "give the path from the root, starting with /"
        : `give the path from the root, starting with /: ${directory} lies outside of --root ${hostPaths.root}`,
  });
}

/** The same for the bytes of an argument that is no text. */
export function pathArgumentBytes(app: App, typed: Buffer): Buffer {
  if (typed[0] === 0x2f) return typed;
  pathArgument(app, "."); // refuses where a relative path has no meaning
  return Buffer.concat([Buffer.from(`${app.system.environment.workingDirectory}/`), typed]);
}
