// Plans of `service install` and `service uninstall`: units as files, systemd's own state as commands with an undo.

import { absolutePath, joinPath, parentOf, type AbsolutePath } from "../core/index.ts";
import { lstat, readBytes } from "../system/index.ts";
import { sha256Hex } from "../system/digest.ts";
import { unitNames, type Unit } from "../service/units.ts";
import type { Conflict, EngineState, Operation, Plan } from "../transaction/index.ts";
import type { App } from "./app.ts";
import { unitPath, type ServiceView, type UnitState } from "./service.ts";

const commandTimeoutMs = 120_000;

/** Pseudo paths for systemd's state: a step needs one of its own. */
const statePath = (what: string) => absolutePath(`/run/systemd/citadel-agent/${what}`);

export interface InstallWish {
  readonly command: string;
  /** Start it now, or restart what runs. */
  readonly now: boolean;
}

/** What installing would do. The upgrade of a binary that is there already is not part of it. */
export function planInstall(app: App, view: ServiceView, wish: InstallWish): Plan {
  const { relocated } = app.system.hostPaths;
  const files = [
    ...missingDirectory(app),
    ...view.units.flatMap((state) => writeUnit(state)),
    ...view.obsolete.flatMap((path) => removeUnit(path, "the settings do not want it any more")),
  ];
  const first = view.binary === "absent" && view.self !== undefined;
  const binary = first ? [placeBinary(view)] : [];
  const reload = files.length > 0 && view.hasSystemd;
  const operations: Operation[] = [
    ...binary,
    ...(reload ? [reloadOnUndo()] : []),
    ...files,
    ...(reload ? [daemonReload()] : []),
    ...(view.hasSystemd ? view.units.flatMap((state) => systemdSteps(state, wish.now)) : []),
    ...(relocated ? view.units.flatMap((state) => wantsLink(app, state)) : []),
  ];
  return {
    command: wish.command,
    operations,
    conflicts: conflictsOf(view),
    unchanged: view.units.filter(({ file }) => file === "current").length,
    onTheHost: relocated ? ["systemctl daemon-reload", "systemctl start citadel-agent"] : [],
    warnings: [],
    ...(first ? { annotations: { service: "binary" } } : {}),
  };
}

/** A unit that somebody else wrote is not ours to replace: only what says so, or nothing. */
function conflictsOf(view: ServiceView): Conflict[] {
  return view.units
    .filter(({ file, path }) => file === "different" && !isOurs(path))
    .map(({ path }) => ({
      path,
      code: "UNIT_FOREIGN",
      message: `${path} was not written by citadel-agent`,
      hint: "move it away; own changes belong into `systemctl edit`, which leaves this file alone",
    }));
}

const isOurs = (path: AbsolutePath) =>
  readBytes(path)?.toString("utf8").startsWith("# Written by `citadel-agent service") ?? false;

function placeBinary({ self, binaryPath }: ServiceView): Operation {
  return {
    op: "run_command",
    path: binaryPath,
    why: "the units point there",
    before: { type: "external", value: "" },
    after: { type: "external", value: "installed" },
    command: {
      read: ["find", binaryPath, "-maxdepth", "0", "-printf", "installed"],
      apply: [self ?? "", "__child", "install-binary", self ?? "", binaryPath],
      undo: ["rm", "-f", "--", binaryPath, `${binaryPath}.previous`],
      timeoutMs: commandTimeoutMs,
    },
  };
}

function missingDirectory(app: App): Operation[] {
  const steps: Operation[] = [];
  const directory = parentOf(unitPath(app, "citadel-agent.service"));
  for (let at = directory; lstat(at) === undefined; at = parentOf(at))
    steps.unshift(makeDirectory(at));
  return steps;
}

export const makeDirectory = (path: AbsolutePath): Operation => ({
  op: "make_dir",
  path,
  why: "units lie there",
  before: { type: "absent" },
  after: { type: "directory", mode: 0o755 },
});

export function writeUnit({ unit, path, file }: UnitState): Operation[] {
  if (file === "current") return [];
  const former = readBytes(path);
  return [
    {
      op: "write_file",
      path,
      why: file === "absent" ? "the unit is missing" : "the unit is another now",
      before:
        former === undefined ? { type: "absent" } : { type: "file", sha256: sha256Hex(former) },
      after: { type: "file", sha256: sha256Hex(Buffer.from(unit.content)), mode: 0o644 },
      content: unit.content,
    },
  ];
}

export function removeUnit(path: AbsolutePath, why: string): Operation[] {
  const former = readBytes(path);
  if (former === undefined) return [];
  return [
    {
      op: "remove_file",
      path,
      why,
      before: { type: "file", sha256: sha256Hex(former) },
      after: { type: "absent" },
    },
  ];
}

/** All units of the service, instances too; not the timer of `backup schedule install`. */
const serviceUnitGlobs = ["citadel-agent.*", "citadel-agent-smart.*", "citadel-agent-backup@*"];

const external = (value: string) => ({ type: "external", value }) as const;

export const daemonReload = (): Operation => ({
  op: "run_command",
  path: statePath("reload"),
  why: "systemd reads its units",
  before: external("old"),
  after: external("read"),
  command: {
    apply: ["systemctl", "daemon-reload"],
    undo: ["systemctl", "daemon-reload"],
    timeoutMs: commandTimeoutMs,
  },
});

/** Undone last: then the files are as they were. */
export const reloadOnUndo = (): Operation => ({
  ...daemonReload(),
  path: statePath("reload-when-undone"),
  why: "systemd reads its units again should this be taken back",
  command: {
    apply: ["true"],
    undo: ["systemctl", "daemon-reload"],
    timeoutMs: commandTimeoutMs,
  },
});

/**
 * By the link that `systemctl enable` makes: what `is-enabled` says of a unit changes with its file, which an earlier
 * step of the same plan writes.
 */
function readEnabled(unit: Unit): string[] {
  const link = `/etc/systemd/system/${wantedBy(unit)}.wants/${unit.name}`;
  return ["find", link, "-maxdepth", "0", "-printf", "enabled"];
}

const wantedBy = ({ content }: Unit) =>
  /^WantedBy=(.+)$/m.exec(content)?.[1] ?? "multi-user.target";

export function systemdSteps(
  { unit, enabled, active, file }: UnitState,
  now: boolean,
): Operation[] {
  if (!unit.enabled) return [];
  const { name } = unit;
  const steps: Operation[] = [];
  if (enabled !== "enabled")
    steps.push({
      op: "run_command",
      path: statePath(`enabled/${name}`),
      why: `${name} starts at boot`,
      before: external(""),
      after: external("enabled"),
      command: {
        read: readEnabled(unit),
        apply: ["systemctl", "enable", name],
        undo: ["systemctl", "disable", name],
        timeoutMs: commandTimeoutMs,
      },
    });
  if (now && active !== "active")
    steps.push({
      op: "run_command",
      path: statePath(`active/${name}`),
      why: `${name} starts now`,
      before: external(active === "" || active === "unknown" ? "inactive" : active),
      after: external("active"),
      command: {
        read: ["systemctl", "is-active", name],
        apply: ["systemctl", "start", name],
        undo: ["systemctl", "stop", name],
        timeoutMs: commandTimeoutMs,
      },
    });
  if (now && active === "active" && file !== "current")
    steps.push({
      op: "run_command",
      path: statePath(`restarted/${name}`),
      why: `${name} runs with what it was`,
      before: external("old"),
      after: external("restarted"),
      command: {
        apply: ["systemctl", "restart", name],
        undo: ["systemctl", "restart", name],
        timeoutMs: commandTimeoutMs,
      },
    });
  return steps;
}

/** Below --root: the link that `systemctl enable` would make. */
export function wantsLink(app: App, { unit, path }: UnitState): Operation[] {
  if (!unit.enabled) return [];
  const directory = joinPath(parentOf(path), `${wantedBy(unit)}.wants`);
  const link = joinPath(directory, unit.name);
  if (lstat(link) !== undefined) return [];
  return [
    ...(lstat(directory) === undefined ? [makeDirectory(directory)] : []),
    {
      op: "create_link",
      path: link,
      why: `${unit.name} starts at boot`,
      before: { type: "absent" },
      after: { type: "link", target: app.system.hostPaths.host(path) },
    },
  ];
}

/** What removing would do; files that somebody changed since stay. */
export function planRemoval(
  app: App,
  view: ServiceView,
  state: EngineState,
  wish: { readonly command: string; readonly keepBinary: boolean },
): Plan {
  const present = unitNames
    .map((name) => ({ name, path: unitPath(app, name) }))
    .filter(({ path }) => lstat(path) !== undefined);
  const foreign = present.filter(({ path }) => !isOurs(path));
  const ours = present.filter(({ path }) => isOurs(path));
  const stops = view.hasSystemd
    ? view.units
        .filter(({ unit, path }) => unit.enabled && ours.some((each) => each.path === path))
        .flatMap(stopUnit)
    : [];
  const links = ours.flatMap(({ name, path }) => removeWantsLink(app, name, path, view.hasSystemd));
  // A binary that an operator put there by himself is his.
  const placedByUs = view.binary !== "absent" && state.latestAnnotations()["service"] === "binary";
  return {
    command: wish.command,
    operations: [
      ...(ours.length > 0 && view.hasSystemd ? [reloadOnUndo()] : []),
      ...stops,
      ...(ours.length > 0 && view.hasSystemd ? [forgetFailures("service", serviceUnitGlobs)] : []),
      ...links,
      ...ours.flatMap(({ name }) => removeStamp(app, name)),
      ...ours.flatMap(({ path }) => removeUnit(path, "the service is taken off")),
      ...(ours.length > 0 && view.hasSystemd ? [daemonReload()] : []),
      ...(placedByUs && !wish.keepBinary ? [removeBinary(view)] : []),
    ],
    conflicts: [],
    unchanged: 0,
    onTheHost: [],
    annotations: { service: null },
    warnings: foreign.map(({ path }) => `${path} stays: it was not written by citadel-agent`),
  };
}

export function stopUnit({ unit, enabled, active }: UnitState): Operation[] {
  const { name } = unit;
  const stop: Operation = {
    op: "run_command",
    path: statePath(`active/${name}`),
    why: `${name} ends`,
    before: external("active"),
    after: external("inactive"),
    command: {
      read: ["systemctl", "is-active", name],
      apply: ["systemctl", "stop", name],
      undo: ["systemctl", "start", name],
      timeoutMs: commandTimeoutMs,
    },
  };
  const disable: Operation = {
    op: "run_command",
    path: statePath(`enabled/${name}`),
    why: `${name} starts no more at boot`,
    before: external("enabled"),
    after: external(""),
    command: {
      read: readEnabled(unit),
      apply: ["systemctl", "disable", name],
      undo: ["systemctl", "enable", name],
      timeoutMs: commandTimeoutMs,
    },
  };
  return [...(active === "active" ? [stop] : []), ...(enabled === "enabled" ? [disable] : [])];
}

/**
 * A failed unit stays in systemd's list after its file is gone, unless it is forgotten.
 * @param patterns globs: a plain name would have to be a loaded unit
 */
export const forgetFailures = (what: string, patterns: readonly string[]): Operation => ({
  op: "run_command",
  path: statePath(`${what}-failures`),
  why: "failures of units that are gone say nothing",
  before: external("old"),
  after: external("forgotten"),
  command: {
    apply: ["systemctl", "reset-failed", ...patterns],
    undo: ["true"],
    timeoutMs: commandTimeoutMs,
  },
});

/** What systemd remembers of a timer with Persistent=: a new one of that name would make up for runs it never missed. */
export function removeStamp(app: App, name: string): Operation[] {
  if (!name.endsWith(".timer")) return [];
  const path = joinPath(app.system.hostPaths.real("/var/lib/systemd/timers"), `stamp-${name}`);
  return removeUnit(path, `when ${name} ran last`);
}

export function removeWantsLink(
  app: App,
  name: string,
  path: AbsolutePath,
  hasSystemd: boolean,
): Operation[] {
  if (hasSystemd) return []; // `systemctl disable` takes it
  return ["multi-user.target.wants", "timers.target.wants"].flatMap((wants) => {
    const link = joinPath(parentOf(path), `${wants}/${name}`);
    if (lstat(link)?.type !== "link") return [];
    const target = app.system.hostPaths.host(path);
    return [
      {
        op: "remove_link" as const,
        path: link,
        why: `${name} starts no more at boot`,
        before: { type: "link" as const, target },
        after: { type: "absent" as const },
      },
    ];
  });
}

function removeBinary({ binaryPath }: ServiceView): Operation {
  return {
    op: "run_command",
    path: binaryPath,
    why: "nothing points there any more",
    before: external("installed"),
    after: external(""),
    command: {
      read: ["find", binaryPath, "-maxdepth", "0", "-printf", "installed"],
      apply: ["rm", "-f", "--", binaryPath, `${binaryPath}.previous`],
      timeoutMs: commandTimeoutMs,
    },
  };
}
