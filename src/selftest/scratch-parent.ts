// Where the torture may run as root: it works with paths and starts children there, so whoever can rename something on
// the way to the scratch directory could turn root's work to another place.

import { CitadelError } from "../core/index.ts";
import { assertPrivateParent } from "../system/trusted-directory.ts";

/**
 * Root needs a directory that nobody else can rename or write, in all its parts; a sticky directory of root's (/tmp)
 * will do, as the scratch directory in it is ours. Anybody else only endangers his own.
 * @throws kind `permission`, code `SCRATCH_NOT_PRIVATE`
 */
export function assertScratchParent(directory: string, isRoot = process.geteuid?.() === 0): void {
  if (!isRoot) return;
  try {
    assertPrivateParent(directory);
  } catch (thrown) {
    if (!(thrown instanceof CitadelError) || thrown.code !== "STATE_NOT_TRUSTED") throw thrown;
    throw new CitadelError({
      kind: "permission",
      code: "SCRATCH_NOT_PRIVATE",
      message: `root's self-test works below ${directory} and ${thrown.message}`,
      path: directory,
      hint: `make a directory of root's on the same file system, with no part of its path anybody else's, or run as its owner: \`sudo -u OWNER citadel-agent selftest --torture ${directory}\``,
      cause: thrown,
    });
  }
}
