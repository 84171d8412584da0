// The schemas are true of the documents, and every document of the framework has one.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { listSchemas, loadSchema } from "../../src/schemas/index.ts";
import { runCli } from "../support/run-cli.ts";
import { validateAgainst } from "../support/validate-schema.ts";

setDefaultTimeout(60_000); // no timing decides a test, and machines are slow at times

describe("schemas", () => {
  test.each(listSchemas())("%s names itself and the members of every document", async (name) => {
    const schema = await loadSchema(name);
    expect(schema).toMatchObject({
      $id: `citadel.${name}/1`,
      type: "object",
      properties: { schema: { const: `citadel.${name}/1` } },
    });
    expect(schema?.required).toContain("schema");
    expect(schema?.required).toContain("host");
    expect(schema?.required).toContain("time");
    expect(() => validateAgainst(schema ?? {}, {})).not.toThrow();
  });

  test.each([
    ["version", ["--version", "--json"]],
    ["version", ["explain", "--version", "--json"]],
    ["help", ["--help", "--json"]],
    ["help", ["explain", "--help", "--json"]],
    ["explain", ["explain", "--json"]],
    ["explain", ["explain", "NO_SPACE", "--json"]],
    ["schema", ["schema", "--json"]],
    ["completion", ["completion", "bash", "--json"]],
    ["error", ["explain", "NO_SUCH_CODE", "--json"]],
    ["error", ["--json", "nonsense"]],
  ])("%s fits what `%j` prints", async (name, argv) => {
    const document = (await runCli(argv)).json();
    expect(validateAgainst((await loadSchema(name)) ?? {}, document)).toEqual([]);
    expect(document["schema"]).toBe(`citadel.${name}/1`);
  });

  test("the validator finds what does not fit", async () => {
    const schema = (await loadSchema("error")) ?? {};
    const document = {
      schema: "citadel.error/1",
      host: "h",
      time: "yesterday",
      exit_code: 1.5,
      error: {},
    };
    expect(validateAgainst(schema, document)).toEqual([
      '$.time: "yesterday" does not match ^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d+)?Z$',
      "$.exit_code: 1.5 is no integer",
      ...["code", "message", "path", "hint", "retryable"].map(
        (name) => `$.error.${name}: is missing`,
      ),
    ]);
  });
});

describe("schema NAME", () => {
  test("prints the schema and nothing else, with and without --json", async () => {
    const schema = await loadSchema("error");
    for (const argv of [["error"], ["error", "--json"], ["citadel.error/1"]]) {
      expect((await runCli(["schema", ...argv])).json<unknown>()).toEqual(schema as object);
    }
  });

  test("alone lists the names", async () => {
    expect((await runCli(["schema"])).stdout.trim().split("\n")).toEqual(listSchemas());
  });

  test("names the nearest for a wrong one: exit 2", async () => {
    const { exitCode, stderr } = await runCli(["schema", "eror"]);
    expect(stderr).toContain("did you mean `citadel-agent schema error`?");
    expect(exitCode).toBe(2);
  });
});
