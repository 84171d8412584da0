// Flags that several layout commands share, so that they mean the same everywhere.

export const conflictArgs = {
  adopt: {
    type: "boolean",
    description: "move the content of a real directory in a link's place into the target",
  },
  moveAside: {
    type: "boolean",
    description: "rename what stands in a link's place, with a timestamp",
  },
} as const;

export const forceArg = {
  force: {
    type: "boolean",
    description: "replace links that somebody else made; never files or directories",
  },
} as const;

export const linksInsideArg = {
  links: {
    type: "enum",
    options: ["real", "inside"],
    default: "real",
    description: "below --root: targets as they are here, or as the booted image sees them",
  },
} as const;

/** The command line as history shows it: words and the flags that were given. */
export function commandText(
  words: readonly string[],
  flags: Readonly<Record<string, boolean | string | undefined>>,
): string {
  const given = Object.entries(flags).flatMap(([name, value]) => {
    if (value === undefined || value === false) return [];
    return value === true ? [`--${name}`] : [`--${name} ${value}`];
  });
  return [...words, ...given].join(" ");
}
