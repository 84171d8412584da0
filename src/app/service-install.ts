// `service install` and `service uninstall` from the wish to the report.

import { CitadelError } from "../core/index.ts";
import { runProcess } from "../system/index.ts";
import { installBinary, restorePrevious } from "../system/install-binary.ts";
import type { ChangeReport, Engine, Plan } from "../transaction/index.ts";
import type { App } from "./app.ts";
import { planInstall, planRemoval } from "./service-plan.ts";
import { viewService, type ServiceView } from "./service.ts";

interface Request {
  readonly flags: readonly string[];
  readonly dryRun: boolean;
  readonly expectedHash: string | undefined;
  readonly lockTimeoutMs: number;
  readonly signal: AbortSignal;
}

export interface InstallRequest extends Request {
  readonly now: boolean;
  /** Exchange the binary with its former one instead of installing ours. */
  readonly previous: boolean;
}

export type ServiceOutcome =
  | { readonly plan: Plan; readonly notes: readonly string[] }
  | { readonly report: ChangeReport; readonly notes: readonly string[] };

const restartTimeoutMs = 120_000;

/** @throws UNSUPPORTED without systemd, PERMISSION without root, STATE_NOT_TRUSTED for a path others can write */
export async function installService(
  app: App,
  engine: Engine,
  request: InstallRequest,
): Promise<ServiceOutcome> {
  const view = await viewService(app, request.flags);
  assertPossible(app, view, request.dryRun);
  const command = `service install${request.now ? " --now" : ""}`;
  const upgrade = upgradeOf(view, request);
  const notes = upgrade === undefined ? [] : [upgrade.note];
  const plan = planInstall(app, view, { command, now: request.now });
  if (request.dryRun) return { plan, notes };
  if (plan.conflicts.length === 0) upgrade?.apply();
  const report = await engine.change({
    command,
    plan: async () =>
      planInstall(app, await viewService(app, request.flags), { command, now: request.now }),
    expectedHash: request.expectedHash,
    lockTimeoutMs: request.lockTimeoutMs,
    signal: request.signal,
  });
  if (upgrade === undefined) return { report, notes };
  const restarted = await restartAfterUpgrade(view, report, request.now);
  return { report, notes: [...notes, ...restarted] };
}

function upgradeOf(view: ServiceView, { previous }: InstallRequest) {
  const { binaryPath, self } = view;
  if (previous) {
    if (!view.hasPrevious) throw noPrevious(binaryPath);
    return {
      note: `${binaryPath} and ${binaryPath}.previous are exchanged`,
      apply: () => restorePrevious(binaryPath),
    };
  }
  if (view.binary !== "different" || self === undefined) return undefined;
  return {
    note: `${binaryPath} is replaced; the former one stays as ${binaryPath}.previous`,
    apply: () => installBinary(self, binaryPath),
  };
}

/** A new binary under an unchanged unit: the unit's own restart was not in the plan. */
async function restartAfterUpgrade(
  view: ServiceView,
  report: ChangeReport,
  now: boolean,
): Promise<string[]> {
  const daemon = view.units.find(({ unit }) => unit.name === "citadel-agent.service");
  if (!view.hasSystemd || daemon?.active !== "active" || report.outcome === "conflicts") return [];
  if (!now) return ["the service runs the former binary until `systemctl restart citadel-agent`"];
  if (daemon.file !== "current") return []; // restarted by the plan
  const run = await runProcess(["systemctl", "restart", "citadel-agent.service"], {
    timeoutMs: restartTimeoutMs,
  });
  if (run.exitCode === 0) return ["the service was restarted"];
  throw new CitadelError({
    kind: "unavailable",
    code: "SERVICE_NOT_STARTED",
    message: `the service does not start with the new binary: ${run.stderr.trim().slice(0, 300)}`,
    hint: "`journalctl -u citadel-agent`; `citadel-agent service install --previous --now` goes back",
  });
}

function assertPossible(app: App, view: ServiceView, dryRun: boolean): void {
  const { hostPaths, environment } = app.system;
  if (!hostPaths.relocated && !view.hasSystemd && !dryRun)
    throw new CitadelError({
      kind: "unsupported",
      code: "SYSTEMD_MISSING",
      message: "systemd does not run here",
      hint: "start `citadel-agent monitor` with what starts services here; units for an image: --root DIR",
    });
  if (!hostPaths.relocated && !environment.isRoot && !dryRun)
    throw new CitadelError({
      kind: "permission",
      code: "PERMISSION",
      message: "only root can install a service",
      hint: "run the command with sudo",
    });
  if (view.self === undefined && view.binary === "absent")
    throw new CitadelError({
      kind: "unsupported",
      code: "BINARY_NEEDED",
      message: "this runs from its sources: there is no binary to install",
      hint: "build it (`bun run build`) and run dist/citadel-agent service install",
    });
}

function noPrevious(path: string): CitadelError {
  return new CitadelError({
    kind: "not-found",
    code: "NO_PREVIOUS_BINARY",
    message: `there is no ${path}.previous`,
    path: `${path}.previous`,
    hint: "install the version you want: run its own `service install`",
  });
}

export interface RemovalRequest extends Request {
  readonly keepBinary: boolean;
}

/** Stops, disables and removes the units, and the binary that an install of ours placed. */
export async function uninstallService(
  app: App,
  engine: Engine,
  request: RemovalRequest,
): Promise<ServiceOutcome> {
  const wish = { command: "service uninstall", keepBinary: request.keepBinary };
  if (request.dryRun) {
    const view = await viewService(app, request.flags);
    return { plan: planRemoval(app, view, engine.state, wish), notes: [] };
  }
  const report = await engine.change({
    command: wish.command,
    plan: async (state) => planRemoval(app, await viewService(app, request.flags), state, wish),
    expectedHash: request.expectedHash,
    lockTimeoutMs: request.lockTimeoutMs,
    signal: request.signal,
  });
  return { report, notes: [] };
}
