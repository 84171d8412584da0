// `/run/citadel-agent/smart.json`: what citadel-agent-smart.service found, for the daemon, whose sandbox keeps it
// from asking disks itself. Read with a schema; a file that is too old is no answer.

import * as v from "valibot";
import { formatTime } from "../../core/index.ts";
import type { SmartData, SmartDisk } from "../data.ts";
import type { Reading } from "../sample.ts";

export const smartFileName = "smart.json";
const format = "citadel.smart-file/1";

/** The text of the file. */
export function formatSmartFile(reading: Reading<SmartData>, measuredAtMs: number): string {
  return `${JSON.stringify({
    schema: format,
    measured_at: formatTime(measuredAtMs),
    state: reading.state,
    note: reading.note ?? null,
    data: reading.data,
  })}\n`;
}

const number = v.nullable(v.number());
const text = v.nullable(v.string());
const roles = v.array(v.picklist(["application", "models", "backup"]));
const diskSchema = v.object({
  device: v.string(),
  roots: roles,
  model: text,
  serial: text,
  protocol: v.nullable(v.picklist(["ATA", "NVMe", "SCSI", "other"])),
  state: v.picklist(["ok", "warning", "failed", "unknown", "not_applicable"]),
  reason: text,
  standby: v.boolean(),
  exitStatus: number,
  passed: v.nullable(v.boolean()),
  temperatureC: number,
  temperatureLimitC: number,
  wearRatio: number,
  spareRatio: number,
  spareThresholdRatio: number,
  mediaErrors: number,
  reallocatedSectors: number,
  pendingSectors: number,
  uncorrectableSectors: number,
  crcErrors: number,
  powerOnHours: number,
  criticalWarnings: v.array(v.string()),
  problems: v.array(
    v.object({
      kind: v.picklist([
        "failing",
        "wear",
        "temperature",
        "media_errors",
        "spare",
        "self_test",
        "log",
        "cable",
      ]),
      severity: v.picklist(["warning", "critical"]),
      attribute: v.string(),
      text: v.string(),
      value: number,
    }),
  ),
  messages: v.array(v.string()),
}) satisfies v.GenericSchema<unknown, SmartDisk>;

const fileSchema = v.object({
  schema: v.literal(format),
  measured_at: v.pipe(v.string(), v.isoTimestamp()),
  state: v.picklist(["ok", "unknown", "not_applicable"]),
  note: text,
  data: v.nullable(
    v.object({
      disks: v.array(diskSchema),
      vanished: v.array(v.object({ device: v.string(), serial: text, model: text })),
    }),
  ),
});

export interface SmartFile {
  readonly measuredAtMs: number;
  readonly state: "ok" | "unknown" | "not_applicable";
  readonly note: string | null;
  readonly data: SmartData | null;
}

/** Undefined: not such a file, or torn. */
export function parseSmartFile(content: string): SmartFile | undefined {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    return undefined; // torn or foreign: the caller says that there is no answer
  }
  const parsed = v.safeParse(fileSchema, value);
  if (!parsed.success) return undefined;
  const { measured_at, state, note, data } = parsed.output;
  return {
    measuredAtMs: Date.parse(measured_at),
    state,
    note,
    data: data === null ? null : { ...data, source: "file" },
  };
}
