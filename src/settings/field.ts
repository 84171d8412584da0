// How a setting is declared: its variable, type, default and meaning. The groups in `groups/` are tables of these;
// loading, `config example`, `config show` and docs/settings.md are all made from them.

import type { GenericSchema } from "valibot";

/** What a value may be. The schema is built on first use: a run that sets nothing validates nothing. */
export interface FieldType<T> {
  /** The rule as a person reads it in an error and in the reference: `a whole number from 1 to 16`. */
  readonly rule: string;
  /** From text (environment) or a parsed value (file) to the value. */
  schema(): GenericSchema<unknown, T>;
  /** The value as text for a variable. */
  format(value: T): string;
  /** Never shown. */
  readonly secret?: boolean;
  /** May be absent: empty text means not set. */
  readonly optional?: boolean;
}

export interface FieldOptions {
  /** Other names of the variable, weaker than the name itself. */
  readonly aliases?: readonly string[];
  /** Names without our prefix, which count in an env file alone. */
  readonly envFileAliases?: readonly string[];
  /** The default is that field's value, followed by `suffix`. Both are paths of the same group. */
  readonly derived?: { readonly from: string; readonly suffix: string };
}

export interface Field<T = unknown> extends FieldOptions {
  /** The environment name, upper case. */
  readonly name: string;
  readonly type: FieldType<T>;
  readonly default: T;
  /** One line for the reference and the sample. */
  readonly meaning: string;
}

/** Declares one setting. */
export function field<T>(
  name: string,
  type: FieldType<T>,
  defaultValue: NoInfer<T>,
  meaning: string,
  options: FieldOptions = {},
): Field<T> {
  return { name, type, default: defaultValue, meaning, ...options };
}

export type Fields = Readonly<Record<string, Field<never>>>;

/** The values of a table of fields: `settings.paths` of `pathsFields`. */
export type ValuesOf<F extends Readonly<Record<string, { readonly default: unknown }>>> = {
  readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never;
};
