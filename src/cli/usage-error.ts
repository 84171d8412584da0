// Wrong command lines: always kind `usage`, exit 2, thrown before anything runs.

import { CitadelError } from "../core/index.ts";

export type UsageCode =
  | "COMMAND_UNKNOWN"
  | "COMMAND_INCOMPLETE"
  | "DRY_RUN_REFUSED"
  | "FLAG_UNKNOWN"
  | "FLAG_REPEATED"
  | "FLAG_REQUIRED"
  | "VALUE_MISSING"
  | "VALUE_INVALID"
  | "ARGUMENT_MISSING"
  | "ARGUMENT_SURPLUS";

/** @param hint what to write instead */
export function usageError(code: UsageCode, message: string, hint: string): CitadelError {
  return new CitadelError({ kind: "usage", code, message, hint });
}
