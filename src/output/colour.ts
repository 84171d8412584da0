// Whether escape sequences may be printed: only where a person looks, unless somebody insists.

/**
 * `--color` and `--no-color` win; then NO_COLOR (no-color.org: any non-empty value); then CLICOLOR_FORCE
 * (bixense.com/clicolors: not 0); then whether the stream is a terminal that knows colours.
 */
export function wantsColour(
  flag: boolean | undefined,
  variables: Readonly<Record<string, string | undefined>>,
  isTerminal: boolean,
): boolean {
  if (flag !== undefined) return flag;
  if ((variables["NO_COLOR"] ?? "") !== "") return false;
  const force = variables["CLICOLOR_FORCE"] ?? "";
  if (force !== "" && force !== "0") return true;
  return isTerminal && variables["TERM"] !== "dumb" && variables["CLICOLOR"] !== "0";
}
