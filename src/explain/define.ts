// What `explain CODE` says of a code. Each area has a file of its own that exports `explanations`.

export interface Explanation {
  /** One or two sentences: what the code says about the host. */
  readonly meaning: string;
  /** What usually leads to it, most likely first. */
  readonly causes: readonly string[];
  /** What to do, in order; commands in backquotes. */
  readonly remedy: readonly string[];
}

export type Explanations = Readonly<Record<string, Explanation>>;
