// smartctl's JSON and exit status to a SmartDisk. Never throws: what does not parse is null, a disk without a verdict
// is `unknown` with a reason.

import type { RootRole, SmartDisk } from "../data.ts";
import { exitBit, findProblems, judgeState, nvmeWarningTexts, type JudgeInput } from "./judge.ts";
import * as schema from "./schema.ts";
import { parseObject, rows, section, type AtaAttribute, type Json } from "./schema.ts";

export interface SmartctlOutput {
  readonly device: string;
  readonly roots: readonly RootRole[];
  readonly stdout: string;
  readonly stderr?: string | undefined;
  /** Of the process; the document's own `exit_status` is used where there is one. */
  readonly exitCode: number | null;
  readonly timedOut?: boolean | undefined;
}

const maxAttributes = 256;
const maxMessages = 20;

/** A disk of which nothing is known but that it is there. */
export function unknownDisk(
  device: string,
  roots: readonly RootRole[],
  reason: string,
  more: Partial<SmartDisk> = {},
): SmartDisk {
  return { ...emptyFacts(device, roots), state: "unknown", problems: [], reason, ...more };
}

function emptyFacts(device: string, roots: readonly RootRole[]) {
  return {
    device,
    roots,
    model: null,
    serial: null,
    protocol: null,
    reason: null,
    standby: false,
    exitStatus: null,
    passed: null,
    temperatureC: null,
    temperatureLimitC: null,
    wearRatio: null,
    spareRatio: null,
    spareThresholdRatio: null,
    mediaErrors: null,
    reallocatedSectors: null,
    pendingSectors: null,
    uncorrectableSectors: null,
    crcErrors: null,
    powerOnHours: null,
    criticalWarnings: [],
    messages: [],
  } satisfies Omit<SmartDisk, "state" | "problems">;
}

/** Parses what `smartctl --json -n standby -a DEVICE` printed. */
export function parseSmartctl(output: SmartctlOutput): SmartDisk {
  const { device, roots } = output;
  if (output.timedOut === true)
    return unknownDisk(device, roots, "smartctl did not return in time");
  const document = parseObject(output.stdout);
  if (document === undefined) return unknownDisk(device, roots, unreadableReason(output));
  const input = collect(document, output);
  const reason = standbyReason(document, input) ?? refusal(input);
  const problems = findProblems(input);
  const state = judgeState(input, problems);
  const said = state === "unknown" ? (reason ?? "the drive gave no health status") : null;
  return {
    ...publicFacts(input),
    standby: input.standby || reason === standbyText,
    state: said === noSmart ? "not_applicable" : state,
    problems,
    reason: said,
  };
}

/** Virtual disks and the like: nothing to read there, ever. */
export const noSmart = "the device has no SMART";
const standbyText = "in standby: not woken";

/** Whether smartctl needs to be told what sits behind a USB bridge (`-d sat`). */
export function needsDeviceType(disk: SmartDisk): boolean {
  return disk.messages.some((text) => /unknown usb bridge|specify device type/i.test(text));
}

function unreadableReason(output: SmartctlOutput): string {
  const said =
    `${output.stderr ?? ""}\n${output.stdout}`.trim().split("\n")[0]?.slice(0, 200) ?? "";
  if (/permission denied/i.test(said)) return "permission denied: SMART needs root";
  if (output.stdout.trim() === "") return said === "" ? "smartctl printed nothing" : said;
  return "smartctl printed something that is not JSON, or it was cut off";
}

function collect(document: Json, output: SmartctlOutput): JudgeInput {
  const device = section(document, schema.deviceSchema, "device");
  const protocol = protocolOf(device?.protocol);
  const exitStatus =
    section(document, schema.envelopeSchema, "smartctl")?.exit_status ?? output.exitCode;
  const base = {
    ...emptyFacts(output.device, output.roots),
    protocol,
    exitStatus,
    model: firstText(document, "model_name", "scsi_model_name", "product", "scsi_product"),
    serial: firstText(document, "serial_number"),
    passed: section(document, schema.statusSchema, "smart_status")?.passed ?? null,
    powerOnHours: section(document, schema.hoursSchema, "power_on_time")?.hours ?? null,
    messages: (section(document, schema.messagesSchema, "smartctl", "messages") ?? [])
      .slice(0, maxMessages)
      .map((message) => message.string),
    ...temperatures(document),
    criticalWarningBits: 0,
    failingAttributes: [],
    errorLogCount: null,
    failedSelfTests: null,
  };
  if (protocol === "NVMe") return { ...base, ...nvmeFacts(document, base.temperatureC) };
  if (protocol === "SCSI") return { ...base, ...scsiFacts(document) };
  return { ...base, ...ataFacts(document) };
}

function publicFacts(input: JudgeInput): Omit<SmartDisk, "state" | "problems"> {
  const {
    criticalWarningBits: _bits,
    temperatureCriticalC: _critical,
    failingAttributes: _attributes,
    errorLogCount: _errors,
    failedSelfTests: _tests,
    ...facts
  } = input;
  return facts;
}

function protocolOf(text: string | undefined): SmartDisk["protocol"] {
  if (text === undefined) return null;
  return text === "ATA" || text === "NVMe" || text === "SCSI" ? text : "other";
}

function firstText(document: Json, ...keys: readonly string[]): string | null {
  for (const key of keys) {
    const value = document[key];
    if (typeof value === "string" && value.trim() !== "") return value.trim();
  }
  return null;
}

function temperatures(document: Json) {
  const found = section(document, schema.temperatureSchema, "temperature");
  // A disk that reports 0 or an absurd value measures nothing.
  const plausible = (value: number | undefined) =>
    value !== undefined && value > -60 && value < 200 && value !== 0 ? value : null;
  return {
    temperatureC: plausible(found?.current),
    temperatureLimitC:
      plausible(found?.op_limit_max) ?? plausible(found?.limit_max) ?? plausible(found?.drive_trip),
    temperatureCriticalC: plausible(found?.critical_limit_max),
  };
}

const ratio = (percent: number | undefined) => (percent === undefined ? null : percent / 100);

function nvmeFacts(document: Json, temperatureC: number | null) {
  const log = section(document, schema.nvmeHealthSchema, "nvme_smart_health_information_log");
  const bits = log?.critical_warning ?? 0;
  return {
    criticalWarningBits: bits,
    criticalWarnings: nvmeWarningTexts(bits),
    temperatureC: temperatureC ?? log?.temperature ?? null,
    wearRatio: ratio(log?.percentage_used),
    spareRatio: ratio(log?.available_spare),
    spareThresholdRatio: ratio(log?.available_spare_threshold),
    mediaErrors: log?.media_errors ?? null,
  };
}

function scsiFacts(document: Json) {
  const counters = section(document, schema.scsiCountersSchema, "scsi_error_counter_log");
  const uncorrected = Object.values(counters ?? {}).flatMap(
    (counter) => counter.total_uncorrected_errors ?? [],
  );
  const grown = document["scsi_grown_defect_list"];
  return {
    mediaErrors: uncorrected.length === 0 ? null : uncorrected.reduce((a, b) => a + b, 0),
    reallocatedSectors: typeof grown === "number" ? grown : null,
    wearRatio: scsiWear(document),
  };
}

function scsiWear(document: Json): number | null {
  const percent = document["scsi_percentage_used_endurance_indicator"];
  if (typeof percent === "number") return percent / 100;
  return ratio(section(document, schema.percentSchema, "endurance_used")?.current_percent);
}

function ataFacts(document: Json) {
  const table = rows(
    document,
    schema.ataAttributeSchema,
    maxAttributes,
    "ata_smart_attributes",
    "table",
  ).filter((row) => !/not_in_use|^unknown_attribute$/i.test(row.name));
  const raw = (id: number, name: RegExp) => {
    const row = table.find((candidate) => candidate.id === id && name.test(candidate.name));
    return row === undefined ? null : rawCount(row);
  };
  return {
    failingAttributes: table.flatMap(({ name, when_failed: when }) =>
      when === "now" || when === "past" ? [{ name, when } as const] : [],
    ),
    reallocatedSectors: raw(5, /realloc|retired/i),
    pendingSectors: raw(197, /pending/i),
    uncorrectableSectors: raw(198, /uncorrect/i),
    mediaErrors: raw(187, /uncorrect/i),
    crcErrors: raw(199, /crc/i),
    wearRatio: ataWear(document, table),
    errorLogCount: errorCount(document),
    failedSelfTests: failedTests(document),
  };
}

/** The count in a raw value: its text starts with the number that matters (`31 (Min/Max 23/44)`). */
function rawCount(row: AtaAttribute): number | null {
  const leading = /^\d+(?![\d/])/.exec(row.raw.string ?? "")?.[0];
  if (leading !== undefined) return Number(leading);
  return row.raw.value ?? null;
}

/** Endurance used, 0..1: the standard statistic first, then what vendors call remaining life. */
function ataWear(document: Json, table: readonly AtaAttribute[]): number | null {
  const standard = section(document, schema.percentSchema, "endurance_used")?.current_percent;
  if (standard !== undefined) return standard / 100;
  for (const page of rows(document, pageSchema, 64, "ata_device_statistics", "pages")) {
    const used = rows(page, schema.deviceStatisticSchema, 256, "table").find(
      (statistic) => statistic.name === "Percentage Used Endurance Indicator",
    );
    if (used !== undefined) return used.value / 100;
  }
  if (document["rotation_rate"] !== 0) return null;
  for (const row of table) {
    const left = remainingLife(row);
    if (left !== null && left >= 0 && left <= 100) return (100 - left) / 100;
  }
  return null;
}

const pageSchema = schema.objectSchema;

function remainingLife(row: AtaAttribute): number | null {
  if (row.id === 231 && /life_left/i.test(row.name)) return rawCount(row);
  const byValue =
    (row.id === 177 && /wear_level/i.test(row.name)) ||
    (row.id === 233 && /wearout/i.test(row.name)) ||
    (row.id === 202 && /lifetime_remain/i.test(row.name));
  return byValue ? (row.value ?? null) : null;
}

function errorCount(document: Json): number | null {
  for (const kind of ["extended", "summary"]) {
    const log = section(document, schema.ataErrorLogSchema, "ata_smart_error_log", kind);
    if (log !== undefined) return log.count;
  }
  return null;
}

function failedTests(document: Json): number | null {
  for (const kind of ["extended", "standard"]) {
    const log = section(document, schema.ataSelfTestSchema, "ata_smart_self_test_log", kind);
    if (log !== undefined) return log.table.filter((test) => test.status.passed === false).length;
  }
  return null;
}

function standbyReason(document: Json, input: JudgeInput): string | undefined {
  const mode = section(document, schema.powerModeSchema, "power_mode");
  const said = [...input.messages, mode?.string ?? "", mode?.ata_string ?? ""].join("\n");
  if (input.passed !== null) return undefined;
  return /\b(?:in STANDBY|in SLEEP|STANDBY mode|SLEEP mode)\b/i.test(said)
    ? standbyText
    : undefined;
}

/** Why the drive gave no verdict. */
function refusal(input: JudgeInput): string | undefined {
  const said = input.messages.join("; ");
  if (/permission denied/i.test(said)) return "permission denied: SMART needs root";
  if (/unknown usb bridge|specify device type/i.test(said))
    return "a USB bridge that smartctl does not know";
  if (/lacks SMART capability|unable to detect device type|SMART .*not supported/i.test(said))
    return noSmart;
  const exit = input.exitStatus ?? 0;
  if ((exit & (exitBit.commandLine | exitBit.openFailed)) !== 0)
    return said === "" ? `smartctl could not open the device (exit ${exit})` : said.slice(0, 200);
  return undefined;
}
