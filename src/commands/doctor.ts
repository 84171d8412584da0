// `doctor`: what the agent stands on itself.

import { doctorChecks } from "../app/doctor.ts";
import { ExitCode } from "../core/index.ts";
import { runDoctor, type CheckState, type DoctorReport } from "../doctor/index.ts";
import type { Style, Tone } from "../output/index.ts";
import { defineAgentCommand } from "./define.ts";

export const command = defineAgentCommand({
  description: "checks the agent's own footing: rights, tools, clock, disk, databases, unit, ports",
  access: "read",
  args: {},
  examples: ["citadel-agent doctor", "citadel-agent doctor --json | jq -e .ok"],
  async run({ app, out, signal }) {
    const report = await runDoctor(doctorChecks(app), signal);
    out.result("doctor", { ...report }, () => formatDoctor(report, out.style));
    return report.ok ? ExitCode.success : ExitCode.findings;
  },
});

const tones: Record<CheckState, Tone> = {
  ok: "ok",
  warning: "warning",
  failed: "critical",
  unknown: "unknown",
  not_applicable: "dim",
};

function formatDoctor(report: DoctorReport, style: Style): string {
  const rows = report.checks.map(({ state, name, found }) => [
    style.paint(tones[state], state === "not_applicable" ? "n/a" : state),
    name,
    found,
  ]);
  const fixes = report.checks.filter(({ state, fix }) => state !== "ok" && fix !== undefined);
  const remedies = fixes.map(({ name, fix }) => [`  ${name}:`, fix ?? ""]);
  return [
    style.table(rows),
    ...(remedies.length === 0 ? [] : ["", "What to do", style.table(remedies)]),
  ].join("\n");
}
