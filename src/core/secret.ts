// A value that must not be printed: it shows itself as `***` wherever it is turned into text by accident.

/** What stands for a secret in every output. */
export const maskedText = "***";

/** Holds a secret; only `reveal()` gives it away, so that a search for `reveal(` finds every use. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The secret itself, for the request that needs it. Never for a message, a log or a document. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return maskedText;
  }

  toJSON(): string {
    return maskedText;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return maskedText;
  }
}
