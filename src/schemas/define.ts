// JSON Schema (draft 2020-12) of the documents this binary prints, written with a few small words. Fields may be
// added to a document and never renamed, so no object forbids further members.

export interface JsonSchema {
  readonly $schema?: string;
  readonly $id?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly const?: string;
  readonly enum?: readonly (string | number | null)[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

export const text: JsonSchema = { type: "string" };
export const bool: JsonSchema = { type: "boolean" };
export const number: JsonSchema = { type: "number" };
export const integer: JsonSchema = { type: "integer" };
/** Bytes, files, items: never negative. Above 2^53 they are strings. */
export const count: JsonSchema = { type: "integer", minimum: 0 };
/** Seconds. */
export const seconds: JsonSchema = { type: "number", minimum: 0 };
/** 0 to 1. */
export const ratio: JsonSchema = { type: "number", minimum: 0, maximum: 1 };
/** RFC 3339 in UTC. */
export const time: JsonSchema = {
  type: "string",
  format: "date-time",
  pattern: "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d+)?Z$",
};
/** Whatever JSON can hold. */
export const anything: JsonSchema = {};

/** One of these words. */
export const oneOf = (...words: readonly (string | number | null)[]): JsonSchema => ({
  enum: words,
});

/** The value or null. */
export const nullable = (schema: JsonSchema): JsonSchema => ({ anyOf: [schema, { type: "null" }] });

export const list = (items: JsonSchema): JsonSchema => ({ type: "array", items });

/** Any keys, values of one kind. */
export const record = (values: JsonSchema): JsonSchema => ({
  type: "object",
  additionalProperties: values,
});

/** An object; members whose name ends in `?` may be absent. */
export function object(
  members: Readonly<Record<string, JsonSchema>>,
  description?: string,
): JsonSchema {
  const properties: Record<string, JsonSchema> = {};
  const required: string[] = [];
  for (const [name, schema] of Object.entries(members)) {
    const plain = name.replace(/\?$/, "");
    properties[plain] = schema;
    if (plain === name) required.push(name);
  }
  return {
    ...(description === undefined ? {} : { description }),
    type: "object",
    properties,
    required,
  };
}

/** A whole document `citadel.<name>/1`: the members beside `schema`, `host` and `time`. */
export function document(
  name: string,
  description: string,
  members: Readonly<Record<string, JsonSchema>>,
): JsonSchema {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: `citadel.${name}/1`,
    title: name,
    ...object(
      { schema: { const: `citadel.${name}/1` }, host: text, time, ...members },
      description,
    ),
  };
}
