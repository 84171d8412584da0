// Checks a document against the words of JSON Schema that src/schemas uses. An unknown word is an error of the
// schema, so that nothing is passed over silently.

import type { JsonSchema } from "../../src/schemas/define.ts";

const checked = new Set([
  "type",
  "const",
  "enum",
  "properties",
  "required",
  "additionalProperties",
  "items",
  "anyOf",
  "pattern",
  "minimum",
  "maximum",
]);
const remarks = new Set(["$schema", "$id", "title", "description", "format"]);

/** @returns what is wrong, each with its place; empty when the value fits */
export function validateAgainst(schema: JsonSchema, value: unknown, place = "$"): string[] {
  for (const word of Object.keys(schema)) {
    if (!checked.has(word) && !remarks.has(word)) throw new Error(`unknown schema word ${word}`);
  }
  const problems: string[] = [];
  const say = (text: string) => problems.push(`${place}: ${text}`);
  if (schema.anyOf !== undefined) {
    const all = schema.anyOf.map((each) => validateAgainst(each, value, place));
    if (!all.some((each) => each.length === 0)) problems.push(...all.flat());
  }
  if (schema.const !== undefined && value !== schema.const) say(`is not ${schema.const}`);
  if (schema.enum !== undefined && !schema.enum.includes(value as string))
    say(`${JSON.stringify(value)} is none of ${JSON.stringify(schema.enum)}`);
  const types = typeof schema.type === "string" ? [schema.type] : schema.type;
  if (types !== undefined && !types.some((type) => isOfType(type, value)))
    return [...problems, `${place}: ${JSON.stringify(value)} is no ${types.join(" or ")}`];
  if (
    typeof value === "string" &&
    schema.pattern !== undefined &&
    !new RegExp(schema.pattern).test(value)
  )
    say(`${JSON.stringify(value)} does not match ${schema.pattern}`);
  if (typeof value === "number") {
    if (schema.minimum !== undefined && value < schema.minimum) say(`${value} < ${schema.minimum}`);
    if (schema.maximum !== undefined && value > schema.maximum) say(`${value} > ${schema.maximum}`);
  }
  if (Array.isArray(value) && schema.items !== undefined) {
    for (const [at, item] of value.entries())
      problems.push(...validateAgainst(schema.items, item, `${place}[${at}]`));
  }
  if (isOfType("object", value)) problems.push(...validateMembers(schema, value as object, place));
  return problems;
}

function validateMembers(schema: JsonSchema, value: object, place: string): string[] {
  const members = value as Readonly<Record<string, unknown>>;
  const problems = (schema.required ?? [])
    .filter((name) => members[name] === undefined)
    .map((name) => `${place}.${name}: is missing`);
  for (const [name, member] of Object.entries(members)) {
    const own = schema.properties?.[name] ?? schema.additionalProperties;
    if (own !== undefined && member !== undefined)
      problems.push(...validateAgainst(own, member, `${place}.${name}`));
  }
  return problems;
}

function isOfType(type: string, value: unknown): boolean {
  if (type === "integer") return Number.isInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "null") return value === null;
  if (type === "object")
    return typeof value === "object" && value !== null && !Array.isArray(value);
  return typeof value === type;
}
