// From the global flags as given to the flags that commands and the framework read.

import type { GlobalFlags, ParsedArgs } from "../commands/define.ts";
import { toParsedArgs } from "./args.ts";
import { flagName, globalArgs } from "./globals.ts";
import type { Given } from "./scan.ts";
import { usageError } from "./usage-error.ts";

/**
 * @param absolute makes a path given by the caller absolute, from the working directory
 * @throws kind `usage`, code VALUE_INVALID
 */
export async function toGlobalFlags(
  given: Given,
  absolute: (path: string) => string,
): Promise<GlobalFlags> {
  const args = (await toParsedArgs(globalArgs, given.flags)) as ParsedArgs<typeof globalArgs>;
  const verbose = given.flags.get("verbose") ?? [];
  return {
    json: args.json === true,
    root: filled("root", args.root, absolute),
    config: filled("config", args.config, absolute),
    envFile: filled("envFile", args.envFile, absolute),
    dryRun: args.dryRun === true,
    planHash: filled("planHash", args.planHash, (hash) => hash),
    yes: args.yes === true,
    lockTimeoutMs: Math.round(args.lockTimeout * 1000),
    quiet: args.quiet === true,
    verbosity: verbose.filter(({ value }) => value === "true").length,
    logFormat: args.logFormat,
    colour: args.color,
  };
}

/** A value that may be left out but not be empty: an unset variable in a script must not mean "everything". */
function filled(
  name: keyof typeof globalArgs,
  value: string | undefined,
  convert: (value: string) => string,
): string | undefined {
  if (value === "")
    throw usageError(
      "VALUE_INVALID",
      `empty value for ${flagName(name)}`,
      `leave ${flagName(name)} out or fill it in`,
    );
  return value === undefined ? undefined : convert(value);
}
