// `service status`: what is installed, whether it is current, whether it runs.

import { viewService, type ServiceView, type UnitState } from "../../app/service.ts";
import { ExitCode } from "../../core/index.ts";
import type { Style } from "../../output/index.ts";
import { defineAgentCommand } from "../define.ts";
import { unitFlags } from "./plan.ts";

export const command = defineAgentCommand({
  description: "what of the service is installed, whether it is current and runs",
  access: "read",
  args: {},
  examples: ["citadel-agent service status", "citadel-agent service status --json | jq .ok"],
  details: "Exit 0 when everything is installed, current and running, else 3.",
  async run(context) {
    const { app, out } = context;
    const view = await viewService(app, unitFlags(context));
    const document = toDocument(view);
    out.result("service-status", document, () => format(document, out.style));
    return document.ok ? ExitCode.success : ExitCode.findings;
  },
});

function toDocument(view: ServiceView) {
  const units = view.units.map((state) => toEntry(state, view.hasSystemd));
  return {
    ok: view.binary === "current" && units.every(({ ok }) => ok),
    systemd: view.hasSystemd,
    binary: { path: view.binaryPath, state: view.binary, previous: view.hasPrevious },
    units,
    obsolete: view.obsolete,
  };
}

function toEntry({ unit, path, file, enabled, active }: UnitState, hasSystemd: boolean) {
  const runs = !unit.enabled || !hasSystemd || (enabled === "enabled" && active === "active");
  return { name: unit.name, path, file, enabled, active, ok: file === "current" && runs };
}

function format(document: ReturnType<typeof toDocument>, style: Style): string {
  const { binary, units } = document;
  const mark = (ok: boolean) => style.paint(ok ? "ok" : "warning", ok ? "ok  " : "LOOK");
  const lines = units.map(({ name, file, enabled, active, ok }) => {
    const state = [enabled, active].filter((word) => word !== "").join(", ");
    return `${mark(ok)} ${name}: ${file}${state === "" ? "" : ` (${state})`}`;
  });
  return [
    `${mark(binary.state === "current")} ${binary.path}: ${binary.state}`,
    ...lines,
    ...document.obsolete.map((path) => `${mark(false)} ${path}: not wanted any more`),
    ...(document.ok ? [] : ["`citadel-agent service install --now` mends it"]),
  ].join("\n");
}
