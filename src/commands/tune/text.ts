// How the tuning is shown: the table of what is, what will be and why, then what a person has to know.

import { formatBytes } from "../../core/index.ts";
import { describeStorages } from "../../host/index.ts";
import type { HostFacts, TuneItem, TunePlan } from "../../host/index.ts";
import { fits, printable, wrap, type Style, type Tone } from "../../output/index.ts";
import type { Conflict, Operation, Plan } from "../../transaction/index.ts";

const words: Readonly<Record<TuneItem["state"], readonly [string, Tone]>> = {
  ok: ["ok", "ok"],
  change: ["change", "accent"],
  pending: ["pending", "warning"],
  on_the_host: ["on the host", "warning"],
  cannot: ["cannot", "critical"],
  not_applicable: ["n/a", "dim"],
};

/** One row per item: the state as a word, what is there, what is wanted, why. Blocks where a table is too wide. */
export function formatItems(items: readonly TuneItem[], style: Style): string {
  const rows = items.map((item) => {
    const [word, tone] = words[item.state];
    return [
      style.paint(tone, word),
      item.item,
      printable(item.subject),
      printable(item.found),
      item.state === "ok" || item.wanted === "-" ? "" : printable(item.wanted),
      style.paint("dim", printable(item.why)),
    ];
  });
  const table = style.table(rows, { header: ["STATE", "ITEM", "WHERE", "IS", "WILL BE", "WHY"] });
  return fits(table, style) ? table : items.map((item) => formatBlock(item, style)).join("\n");
}

const blockIndent = 13;

function formatBlock(item: TuneItem, style: Style): string {
  const [word, tone] = words[item.state];
  const line = (text: string) => wrap(`${" ".repeat(blockIndent)}${text}`, blockIndent, style);
  const isThere = item.found !== "" && item.found !== "-";
  const differs = item.state !== "ok" && item.wanted !== "-";
  const label = item.state === "cannot" ? "wanted " : "will be";
  return [
    `${style.paint(tone, word.padEnd(blockIndent - 2))}  ${item.item}  ${printable(item.subject)}`,
    ...(isThere ? [line(`is       ${printable(item.found)}`)] : []),
    ...(differs ? [line(`${label}  ${printable(item.wanted)}`)] : []),
    style.paint("dim", line(printable(item.why))),
  ].join("\n");
}

/** The whole plan for a person. */
export function formatTunePlan(tune: TunePlan, facts: HostFacts, style: Style): string {
  const blocks = [
    `profile ${style.paint("strong", tune.profile)}`,
    formatStorages(facts, style),
    formatItems(tune.items, style),
    section("risks", tune.risks, "critical", style),
    section("not done by itself, consider", tune.proposals, "warning", style),
    section("remarks", tune.notes, "dim", style),
    formatSteps(tune.plan.operations, style),
    section("on the host, afterwards", tune.plan.onTheHost, "strong", style),
    formatConflicts(tune.plan.conflicts, style),
    section(
      "not done either, because of it: all or nothing",
      tune.held.map(itemLine),
      "warning",
      style,
    ),
  ];
  return blocks.filter((block) => block !== "").join("\n\n");
}

/** Which devices hold each storage: one line per storage, one per disk below it. */
export function formatStorages(facts: HostFacts, style: Style): string {
  const lines = describeStorages(facts).flatMap((storage) => {
    const { role, path, mounted, mountpoint, source, fstype, devices, disks, reason } = storage;
    const place = mounted
      ? `${mountpoint ?? path}  ${source ?? ""} (${fstype ?? ""})  ${devices.map(({ name, kind }) => `${name} (${kind})`).join(" > ")}`
      : `${mountpoint ?? path}  not mounted${reason === null ? "" : `: ${reason}`}`;
    const head = wrap(`${role.padEnd(6)}  ${printable(place.trimEnd())}`, 8, style);
    const shown = disks.map((disk) => wrap(`        ${printable(diskText(disk))}`, 8, style));
    const why =
      mounted && disks.length === 0 && reason !== null
        ? [wrap(`        ${printable(reason)}`, 8, style)]
        : [];
    return [
      style.paint("strong", head.slice(0, 6)) + head.slice(6),
      ...shown.map((line) => style.paint("dim", line)),
      ...why,
    ];
  });
  return lines.join("\n");
}

function diskText(disk: ReturnType<typeof describeStorages>[number]["disks"][number]): string {
  const yesNo = (value: boolean | null, yes: string, no: string) =>
    value === null ? "" : value ? yes : no;
  const readAhead = disk.read_ahead_bytes;
  return [
    disk.path,
    disk.model ?? "",
    disk.bytes === null ? "" : formatBytes(disk.bytes),
    disk.serial === null ? "" : `serial ${disk.serial}`,
    yesNo(disk.rotational, "rotational", "not rotational"),
    disk.scheduler === null ? "" : `scheduler ${disk.scheduler} of ${disk.schedulers.join(" ")}`,
    readAhead === null ? "" : `read-ahead ${formatBytes(readAhead)}`,
    yesNo(disk.discard, "discard", "no discard"),
  ]
    .filter((text) => text !== "")
    .join(", ");
}

/** The steps that a person counts. */
export const shownSteps = (operations: readonly Operation[]) =>
  operations.filter(({ command }) => command?.apply[0] !== "true");

/** Steps as they will run; the halves of a reload that only matter for an undo are left out. */
export function formatSteps(operations: readonly Operation[], style: Style): string {
  const shown = shownSteps(operations);
  if (shown.length === 0) return "";
  const rows = shown.map(({ op, path, before, after, why }, at) => [
    String(at + 1),
    op,
    printable(path),
    `${stateWord(before)} -> ${stateWord(after)}`,
    style.paint("dim", printable(why)),
  ]);
  const table = style.table(rows, { indent: 2, align: ["right"] });
  const narrow = () => shown.map((step, at) => formatStep(step, at, style)).join("\n");
  return `${style.paint("strong", `steps (${shown.length})`)}\n${fits(table, style) ? table : narrow()}`;
}

function formatStep({ op, path, before, after, why }: Operation, at: number, style: Style): string {
  const line = (text: string) => wrap(`     ${text}`, 5, style);
  const head = line(`${op}  ${printable(path)}`).slice(2);
  return [
    `${String(at + 1).padStart(3)}${head.slice(1)}`,
    line(`${stateWord(before)} -> ${stateWord(after)}`),
    style.paint("dim", line(printable(why))),
  ].join("\n");
}

export const countSteps = (count: number) => `${count} ${count === 1 ? "step" : "steps"}`;

function stateWord(state: Operation["before"]): string {
  if (state.type === "value" || state.type === "external") return state.value;
  if (state.type === "file") return state.sha256?.slice(0, 12) ?? "file";
  return state.type === "link" ? state.target : state.type;
}

export function formatConflicts(conflicts: readonly Conflict[], style: Style): string {
  if (conflicts.length === 0) return "";
  const lines = conflicts.flatMap(({ code, message, hint }) => [
    wrap(`  ${printable(message)} [${code}]`, 2, style),
    style.paint("dim", wrap(`    ${printable(hint)}`, 4, style)),
  ]);
  return [style.paint("critical", `conflicts (${conflicts.length})`), ...lines].join("\n");
}

export function section(title: string, lines: readonly string[], tone: Tone, style: Style): string {
  if (lines.length === 0) return "";
  const shown = lines.map((line) => wrap(`  ${printable(line)}`, 4, style));
  return [style.paint(tone, title), ...shown].join("\n");
}

const itemLine = (item: TuneItem) => `${item.item} of ${item.subject}: ${item.why}`;

/** What was left after an apply: what is pending, and what could not be done here. */
export function formatLeft(tune: TunePlan, style: Style): string {
  return [
    section("pending", tune.pending.map(itemLine), "warning", style),
    section("could not be done here", tune.couldNot.map(itemLine), "critical", style),
  ]
    .filter((block) => block !== "")
    .join("\n");
}

/** Members that every document about a tuning plan has. */
export function tuneFields(tune: TunePlan, facts: HostFacts): Record<string, unknown> {
  return {
    profile: tune.profile,
    storages: describeStorages(facts),
    items: tune.items,
    risks: tune.risks,
    proposals: tune.proposals,
    notes: tune.notes,
    pending: tune.pending.map(({ item, subject, why }) => ({ item, subject, why })),
    could_not: tune.couldNot.map(({ item, subject, why }) => ({ item, subject, why })),
    held: tune.held.map(({ item, subject, why }) => ({ item, subject, why })),
  };
}

/** Steps, conflicts and hash of a plan, as every plan document has them. */
export function stepFields(
  plan: Plan,
  hash: string,
  isDone?: (step: number) => boolean,
): Record<string, unknown> {
  return {
    steps: plan.operations.map(({ op, path, before, after, why }, at) => ({
      op,
      path,
      from: before.type === "absent" ? null : stateWord(before),
      to: after.type === "absent" ? null : stateWord(after),
      why,
      ...(isDone === undefined ? {} : { done: isDone(at) }),
    })),
    conflicts: plan.conflicts.map(({ path, code, message, hint }) => {
      return { path, code, message, hint };
    }),
    on_the_host: plan.onTheHost,
    unchanged: plan.unchanged,
    plan_hash: hash,
  };
}
