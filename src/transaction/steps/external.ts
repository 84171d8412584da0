// set_value (an attribute of the kernel) and run_command (a state that only a command can read or change).

import { CitadelError } from "../../core/index.ts";
import { readKernelValue, writeKernelValue } from "../../system/index.ts";
import type { Operation, PathState } from "../operation.ts";
import { hostChanged, matches } from "../state.ts";
import {
  kept,
  nothingToUndo,
  prepareAsFound,
  undone,
  type StepContext,
  type StepKind,
} from "../step.ts";

function textOf(state: PathState, operation: Operation): string {
  if (state.type === "value" || state.type === "external") return state.value;
  throw new TypeError(`${operation.op} ${operation.path}: expected a value`);
}

function observeValue(_context: StepContext, operation: Operation): PathState {
  const value = readKernelValue(operation.path);
  return value === undefined ? { type: "absent" } : { type: "value", value };
}

export const setValue: StepKind = {
  atomic: true,
  needsDigest: false,
  prepare: prepareAsFound,
  observe: observeValue,
  apply(context, { operation }) {
    const found = observeValue(context, operation);
    if (!matches(found, operation.before)) {
      throw hostChanged(operation.path, operation.before, found);
    }
    const wanted = textOf(operation.after, operation);
    writeKernelValue(operation.path, wanted);
    const now = readKernelValue(operation.path);
    if (now === wanted) return;
    throw new CitadelError({
      kind: "io",
      code: "VALUE_NOT_TAKEN",
      message: `the kernel did not take ${wanted} for ${operation.path}: it says ${now ?? "nothing"}`,
      path: operation.path,
      operation: "write",
      hint: "see which values it offers (`cat` the path) and change the profile",
    });
  },
  undo(context, { operation }) {
    const found = observeValue(context, operation);
    if (found.type === "absent" || matches(found, operation.before)) return nothingToUndo;
    if (!matches(found, operation.after)) return kept("changed by someone else meanwhile");
    writeKernelValue(operation.path, textOf(operation.before, operation));
    return undone;
  },
};

function commandOf(operation: Operation) {
  if (operation.command === undefined) throw new TypeError("run_command without a command");
  return operation.command;
}

function observeExternal(context: StepContext, operation: Operation): PathState {
  const { read, timeoutMs } = commandOf(operation);
  if (read === undefined) return operation.before;
  const { exitCode, stdout, stderr } = context.run(read, timeoutMs);
  if (exitCode === null) throw failed(operation, read, stderr);
  return { type: "external", value: stdout.trim() };
}

function runChecked(context: StepContext, operation: Operation, command: readonly string[]): void {
  const { exitCode, stderr, stdout } = context.run(command, commandOf(operation).timeoutMs);
  if (exitCode !== 0) throw failed(operation, command, (stderr || stdout).trim());
}

function failed(operation: Operation, command: readonly string[], said: string): CitadelError {
  return new CitadelError({
    kind: "io",
    code: "COMMAND_FAILED",
    message: `\`${command.join(" ")}\` failed on ${operation.path}: ${said.slice(0, 500)}`,
    path: operation.path,
    operation: command[0],
    hint: "run the command by hand to see what it needs",
  });
}

export const runCommand: StepKind = {
  atomic: false,
  needsDigest: false,
  prepare: prepareAsFound,
  observe: observeExternal,
  apply(context, { operation }) {
    const { read, apply } = commandOf(operation);
    const found = observeExternal(context, operation);
    if (!matches(found, operation.before)) {
      throw hostChanged(operation.path, operation.before, found);
    }
    runChecked(context, operation, apply);
    if (read === undefined) return;
    const now = observeExternal(context, operation);
    if (!matches(now, operation.after)) throw hostChanged(operation.path, operation.after, now);
  },
  undo(context, { operation }) {
    const { read, undo } = commandOf(operation);
    if (read !== undefined && matches(observeExternal(context, operation), operation.before)) {
      return nothingToUndo;
    }
    if (undo === undefined) return kept("this command has no way back");
    runChecked(context, operation, undo);
    return undone;
  },
};
