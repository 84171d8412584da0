// One operation turned round: from what it left to what it found.

import { CitadelError, type AbsolutePath } from "../core/index.ts";
import type { JournalView } from "./journal-view.ts";
import type { Operation, PathState } from "./operation.ts";

type Inverse = Operation | string;

/**
 * @param done an operation of a committed generation, `before` in full
 * @param found what is there now: `done.after`, with members the plan did not care about
 * @returns the operation back, or why there is none
 */
export function invert(
  done: Operation,
  found: PathState,
  generation: number,
  view: JournalView,
): Inverse {
  const base = {
    path: done.path,
    before: found,
    after: done.before,
    why: `undoes ${done.op} of generation ${generation}`,
  };
  switch (done.op) {
    case "make_dir":
      return { ...base, op: "remove_dir" };
    case "remove_dir":
      return { ...base, op: "make_dir" };
    case "set_mode":
    case "set_owner":
      return { ...base, op: done.op };
    case "create_link":
      return { ...base, op: "remove_link" };
    case "replace_link":
      return { ...base, op: "replace_link" };
    case "remove_link":
      return { ...base, op: "create_link" };
    case "write_file":
    case "remove_file":
      return invertFile(base, view);
    case "set_value":
      return { ...base, op: "set_value" };
    case "run_command":
      return invertCommand(done, base);
    case "move_aside":
      return invertMove(done, base);
    case "adopt":
      return `its content was moved into ${done.to ?? "its target"}; move it back by hand if you want it here`;
    default:
      return "this step has no way back";
  }
}

type Base = Pick<Operation, "path" | "before" | "after" | "why">;

function invertFile(base: Base, view: JournalView): Inverse {
  if (base.after.type === "absent") return { ...base, op: "remove_file" };
  const sha256 = base.after.type === "file" ? base.after.sha256 : undefined;
  const content = sha256 === undefined ? undefined : view.content(sha256);
  if (content === undefined) return "its former content is no longer kept";
  const encoded = Buffer.from(content).toString("base64");
  return { ...base, op: "write_file", content: encoded, contentEncoding: "base64" };
}

function invertCommand(done: Operation, base: Base): Inverse {
  const command = done.command;
  if (command?.undo === undefined) return "this command has no way back";
  const { read, apply, undo, timeoutMs } = command;
  return { ...base, op: "run_command", command: { read, apply: undo, undo: apply, timeoutMs } };
}

function invertMove(done: Operation, base: Base): Inverse {
  if (done.to === undefined) throw new CitadelError(internal(done.path));
  return {
    op: "move_aside",
    path: done.to,
    to: done.path,
    before: done.before,
    after: { type: "absent" },
    why: base.why,
  };
}

const internal = (path: AbsolutePath) =>
  ({
    kind: "internal",
    code: "INTERNAL",
    message: "internal error: move_aside without a destination in the journal",
    path,
  }) as const;
