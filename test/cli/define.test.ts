// The types of `args` follow from the declaration: checked by the compiler, run once so that the test is no dead file.

import { expect, expectTypeOf, test } from "bun:test";
import { defineAgentCommand, type ParsedArgs } from "../../src/commands/define.ts";

const args = {
  source: { type: "positional" },
  keep: { type: "positional", value: "number", required: false },
  shell: { type: "positional", options: ["bash", "zsh"] },
  names: { type: "positional", multiple: true },
  force: { type: "boolean" },
  deduplicate: { type: "boolean", default: true },
  kind: { type: "enum", options: ["full", "incremental"] },
  kindOrFull: { type: "enum", options: ["full", "incremental"], default: "full" },
  kinds: { type: "enum", options: ["a", "b"], multiple: true },
  rate: { type: "number" },
  jobs: { type: "number", default: 2 },
  label: { type: "string", required: true },
  path: { type: "string", multiple: true },
} as const;

test("args are exactly typed", () => {
  expectTypeOf<ParsedArgs<typeof args>>().toEqualTypeOf<{
    readonly source: string;
    readonly keep: number | undefined;
    readonly shell: "bash" | "zsh";
    readonly names: readonly string[];
    readonly force: boolean | undefined;
    readonly deduplicate: boolean;
    readonly kind: "full" | "incremental" | undefined;
    readonly kindOrFull: "full" | "incremental";
    readonly kinds: readonly ("a" | "b")[];
    readonly rate: number | undefined;
    readonly jobs: number;
    readonly label: string;
    readonly path: readonly string[];
  }>();
});

test("a declaration in place gives the same types as one with `as const`", () => {
  const command = defineAgentCommand({
    description: "typed",
    access: "read",
    examples: [],
    args: { kind: { type: "enum", options: ["full", "incremental"], default: "full" } },
    async run(context) {
      expectTypeOf(context.args).toEqualTypeOf<{ readonly kind: "full" | "incremental" }>();
      // @ts-expect-error -- nobody declared this argument
      void context.args.other;
      return 0;
    },
  });
  expect(command.kind).toBe("command");
});
