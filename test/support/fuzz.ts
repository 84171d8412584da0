// Broken inputs from good ones, the same for the same seed: cut off, bytes changed, lines swapped or doubled.

/** A generator of numbers 0..1 (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One mutated form of `text`. */
export function mutate(text: string, random: () => number): string {
  const at = () => Math.floor(random() * text.length);
  switch (Math.floor(random() * 7)) {
    case 0:
      return text.slice(0, at());
    case 1:
      return text.slice(at());
    case 2: {
      const place = at();
      const char = String.fromCharCode(Math.floor(random() * 0x250));
      return text.slice(0, place) + char + text.slice(place + 1);
    }
    case 3: {
      const [a, b] = [at(), at()];
      return text.slice(0, a) + text.slice(b);
    }
    case 4:
      return text.replace(/\d+/g, (digits) => (random() < 0.1 ? odd(random) : digits));
    case 5: {
      const lines = text.split("\n");
      lines.splice(Math.floor(random() * lines.length), 1);
      return lines.join("\n");
    }
    default: {
      const lines = text.split("\n");
      const line = lines[Math.floor(random() * lines.length)] ?? "";
      lines.splice(Math.floor(random() * lines.length), 0, line);
      return lines.join("\n");
    }
  }
}

function odd(random: () => number): string {
  const values = [
    "-1",
    "0",
    "9".repeat(30),
    "1e400",
    '"x"',
    "null",
    "{}",
    "[]",
    "18446744073709551615",
  ];
  return values[Math.floor(random() * values.length)] ?? "0";
}

/** Runs `parse` on `count` mutations of each text; a throw fails the test with the seed and the input's head. */
export function fuzz(
  texts: readonly string[],
  parse: (text: string) => unknown,
  options: { readonly seed: number; readonly count: number },
): void {
  const random = createRandom(options.seed);
  for (const text of texts) {
    let input = text;
    for (let round = 0; round < options.count; round += 1) {
      input = mutate(round % 4 === 0 ? text : input, random);
      try {
        parse(input);
      } catch (thrown) {
        throw new Error(
          `seed ${options.seed}, round ${round}: ${String(thrown)} on ${JSON.stringify(input.slice(0, 200))}`,
        );
      }
    }
  }
}
