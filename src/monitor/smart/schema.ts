// The parts of smartctl's JSON that we read, each with a schema of its own: a page that does not fit is left out and
// the rest of the disk stays. Fields as smartmontools 7.0-7.5 prints them (smartctl(8), "--json").

import * as v from "valibot";

const text = v.string();
const count = v.pipe(v.number(), v.finite());

export const envelopeSchema = v.object({ exit_status: v.pipe(v.number(), v.integer()) });
export const messagesSchema = v.array(v.object({ string: text, severity: v.optional(text) }));
export const deviceSchema = v.object({ name: text, type: text, protocol: text });
export const statusSchema = v.object({ passed: v.boolean() });
export const supportSchema = v.object({ available: v.boolean(), enabled: v.optional(v.boolean()) });
export const temperatureSchema = v.object({
  current: v.optional(count),
  /** NVMe and ATA: the drive's own limits. */
  op_limit_max: v.optional(count),
  limit_max: v.optional(count),
  critical_limit_max: v.optional(count),
  /** SCSI. */
  drive_trip: v.optional(count),
});
export const powerModeSchema = v.object({ string: v.optional(text), ata_string: v.optional(text) });
export const hoursSchema = v.object({ hours: count });
export const percentSchema = v.object({ current_percent: count });

export const nvmeHealthSchema = v.object({
  critical_warning: v.optional(count),
  temperature: v.optional(count),
  available_spare: v.optional(count),
  available_spare_threshold: v.optional(count),
  percentage_used: v.optional(count),
  power_on_hours: v.optional(count),
  media_errors: v.optional(count),
  num_err_log_entries: v.optional(count),
});

/** One row of the ATA attribute table; rows are checked one by one. */
export const ataAttributeSchema = v.object({
  id: v.pipe(v.number(), v.integer()),
  name: v.optional(text, ""),
  value: v.optional(count),
  when_failed: v.optional(text, ""),
  raw: v.object({ value: v.optional(count), string: v.optional(text) }),
});
export type AtaAttribute = v.InferOutput<typeof ataAttributeSchema>;

export const ataErrorLogSchema = v.object({ count: count });
export const ataSelfTestSchema = v.object({
  table: v.array(v.object({ status: v.object({ passed: v.optional(v.boolean()) }) })),
});
export const scsiCountersSchema = v.record(
  v.string(),
  v.object({ total_uncorrected_errors: v.optional(count) }),
);
export const deviceStatisticSchema = v.object({ name: text, value: count });

export type Json = Readonly<Record<string, unknown>>;

/** The member at `path` if it fits `schema`, else undefined: never throws. */
export function section<S extends v.GenericSchema>(
  document: Json,
  schema: S,
  ...path: readonly string[]
): v.InferOutput<S> | undefined {
  let value: unknown = document;
  for (const key of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    value = Object.hasOwn(value, key) ? (value as Json)[key] : undefined;
  }
  const parsed = v.safeParse(schema, value);
  return parsed.success ? parsed.output : undefined;
}

/** The members of the list at `path` that fit; others are left out. */
export function rows<S extends v.GenericSchema>(
  document: Json,
  schema: S,
  limit: number,
  ...path: readonly string[]
): v.InferOutput<S>[] {
  const list = section(document, v.array(v.unknown()), ...path) ?? [];
  return list.slice(0, limit).flatMap((row) => {
    const parsed = v.safeParse(schema, row);
    return parsed.success ? [parsed.output] : [];
  });
}

/** The text as a JSON object; undefined for anything else, cut-off output included. */
export function parseObject(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Json)
      : undefined;
  } catch {
    return undefined; // not JSON: the caller says "unknown", with what the program printed
  }
}

/** Any object. */
export const objectSchema = v.record(v.string(), v.unknown());
