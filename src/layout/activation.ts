// Choices that `models activate` and `models archive` recorded: which directory an alias points at, which model is
// archived. They live in the annotations of the last generation and are part of the desired layout.

/** One recorded choice for an alias. */
export interface ActivatedAlias {
  /** Absolute host path, or a name under `active`. */
  readonly directory: string;
  /** What the setting said when the choice was made: a setting that changed since wins. */
  readonly configured: string;
}

export interface Activation {
  readonly aliases: Readonly<Record<string, ActivatedAlias>>;
  /** Directory names under `active` that were moved to the archive: not to be made again. */
  readonly archived: readonly string[];
}

export const noActivation: Activation = { aliases: {}, archived: [] };

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Reads `activation` from a generation's annotations; what does not fit the shape is left out. */
export function parseActivation(annotations: Readonly<Record<string, unknown>>): Activation {
  const found = annotations["activation"];
  if (!isRecord(found)) return noActivation;
  const aliases: Record<string, ActivatedAlias> = {};
  for (const [alias, choice] of Object.entries(
    isRecord(found["aliases"]) ? found["aliases"] : {},
  )) {
    if (!isRecord(choice)) continue;
    const { directory, configured } = choice;
    if (typeof directory !== "string" || typeof configured !== "string") continue;
    aliases[alias] = { directory, configured };
  }
  const archived = Array.isArray(found["archived"]) ? found["archived"] : [];
  return { aliases, archived: archived.filter((name) => typeof name === "string") };
}

export interface AliasChoice {
  readonly alias: string;
  /** Absolute host path, or a name under `active`. */
  readonly directory: string;
  /** Where it comes from, for `config show --origin`. */
  readonly origin: "settings" | "activation";
  /** Set where a recorded choice was dropped because the setting changed since. */
  readonly superseded?: string | undefined;
}

/**
 * Decides for each alias which directory it means: the recorded choice, unless the setting for that alias changed
 * after the choice was made. Aliases whose key has no directory are left out.
 */
export function chooseAliases(
  modelDirectories: Readonly<Record<string, string>>,
  convenienceLinks: Readonly<Record<string, string>>,
  activation: Activation,
): AliasChoice[] {
  const choices: AliasChoice[] = [];
  for (const [alias, key] of Object.entries(convenienceLinks)) {
    const configured = modelDirectories[key];
    const chosen = activation.aliases[alias];
    if (configured === undefined) continue;
    if (chosen === undefined || chosen.directory === configured) {
      choices.push({ alias, directory: configured, origin: "settings" });
    } else if (chosen.configured === configured) {
      choices.push({ alias, directory: chosen.directory, origin: "activation" });
    } else {
      const superseded = chosen.directory;
      choices.push({ alias, directory: configured, origin: "settings", superseded });
    }
  }
  return choices;
}
