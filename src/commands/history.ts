// `history`: what was changed, when, by whom, with which command.

import { assertHistoryKnown, openLayoutEngine } from "../app/layout-engine.ts";
import { ExitCode, formatRelative } from "../core/index.ts";
import { printable, type Style } from "../output/index.ts";
import { stepFields } from "../output/plan-text.ts";
import type { Engine, Generation } from "../transaction/index.ts";
import { defineAgentCommand } from "./define.ts";

export const command = defineAgentCommand({
  description: "lists committed changes of this host: who, when, which command; newest last",
  access: "read",
  args: { log: { type: "boolean", description: "every change of each generation" } },
  examples: ["citadel-agent history", "citadel-agent history --log --json | jq .generations[-1]"],
  details:
    "Each generation is the state after one committed command. `rollback N` goes back\nto the state after generation N; 0 is the host before the first set-up.",
  async run({ app, args, out }) {
    using engine = openLayoutEngine(app);
    const { pending, problem } = engine.state;
    if (problem !== undefined) throw problem;
    const generations = engine.history().toReversed();
    if (generations.length === 0) assertHistoryKnown(app);
    const changes = (generation: Generation) =>
      args.log === true
        ? { changes: engine.stepsOf(generation.id).map(({ operation }) => stepFields(operation)) }
        : {};
    out.result(
      "history",
      {
        generations: generations.map((each) => ({ ...each, ...changes(each) })),
        pending_transaction: pending,
      },
      () => {
        const nowMs = app.system.clock.nowMs();
        const text = formatHistory(generations, nowMs, out.style);
        return args.log === true ? formatLog(generations, engine, nowMs, out.style) : text;
      },
    );
    if (pending !== null) {
      out.warn(
        `\`${pending.command}\` (since ${pending.started}) did not end; the next changing command undoes it first`,
      );
    }
    return ExitCode.success;
  },
});

const nothing = "no generation yet: `citadel-agent setup` makes the first";

function formatHistory(generations: readonly Generation[], nowMs: number, style: Style): string {
  if (generations.length === 0) return nothing;
  const rows = generations.map(({ id, time, user, command: typed, steps }) => [
    String(id),
    formatRelative(Date.parse(time), nowMs),
    printable(user),
    `${steps} ${steps === 1 ? "step" : "steps"}`,
    printable(typed),
  ]);
  return style.table(rows, {
    header: ["generation", "when", "who", "", "command"],
    align: ["right", "left", "left", "right"],
  });
}

function formatLog(
  generations: readonly Generation[],
  engine: Engine,
  nowMs: number,
  style: Style,
): string {
  if (generations.length === 0) return nothing;
  const blocks = generations.map(({ id, time, user, command: typed }) => {
    const when = formatRelative(Date.parse(time), nowMs);
    const title = `generation ${id}  ${time} (${when})  ${printable(user)}  ${printable(typed)}`;
    const rows = engine.stepsOf(id).map(({ operation }) => {
      const { from, to } = stepFields(operation) as { from: string | null; to: string | null };
      const ends = [from, to].map((end) => printable(end ?? "nothing")).join(" -> ");
      return [operation.op, printable(operation.path), ends];
    });
    return `${style.paint("strong", title)}\n${style.table(rows, { indent: 2 })}`;
  });
  return blocks.join("\n\n");
}
