// Rules about the host, its GPUs, the model services and the agent itself.

import type { Gpu, XidEvent } from "../data.ts";
import { noticeNames } from "../notices.ts";
import { defineRule, fingerprintOf, type Finding, type RuleContext } from "../rule.ts";
import { levelOf } from "./space.ts";

/** Criticals that the original had fixed (spec/settings.md, section 5). */
export const cpuUsageCritical = 0.9;
export const memoryUsageCritical = 0.95;
export const gpuMemoryCritical = 0.95;
const margin = 0.03;
/** Below the critical temperature by this much a warning is given; it ends when it is 3 °C cooler. */
const gpuWarmC = 5;
const gpuMarginC = 3;
const xidKeepMs = 3600_000;

const percent = (ratio: number) => `${(ratio * 100).toFixed(1)} %`;

export const hostRule = defineRule({
  names: ["CPU_USAGE", "MEMORY_USAGE"],
  probe: "host",
  description: "processors or memory are nearly used up",
  hold: 5,
  clearHold: 2,
  judge(data, context) {
    const { cpuUsageWarning, memoryUsageWarning } = context.thresholds;
    const cpu = { warning: cpuUsageWarning, critical: Math.max(cpuUsageCritical, cpuUsageWarning) };
    const memory = {
      warning: memoryUsageWarning,
      critical: Math.max(memoryUsageCritical, memoryUsageWarning),
    };
    return {
      findings: [
        ...level("CPU_USAGE", data.cpuUsage, cpu, context, {
          what: "the processors are busy",
          advice: "find who uses them with `top`",
        }),
        ...level("MEMORY_USAGE", data.memoryUsage, memory, context, {
          what: "memory is used",
          advice:
            "find who holds it with `top -o %MEM`: the kernel ends a process when it runs out",
        }),
      ],
      blind: [],
    };
  },
});

function level(
  name: string,
  value: number | null,
  limits: { readonly warning: number; readonly critical: number },
  context: RuleContext,
  text: { readonly what: string; readonly advice: string },
): Finding[] {
  if (value === null) return [];
  const active = context.activeSeverity(fingerprintOf(name, {}));
  const severity = levelOf(value, limits, active, margin);
  if (severity === undefined) return [];
  return [
    {
      name,
      severity,
      labels: {},
      summary: `${text.what}: ${percent(value)}`,
      advice: text.advice,
      value,
      threshold: limits[severity],
    },
  ];
}

export const gpuRule = defineRule({
  names: [
    "GPU_MEMORY",
    "GPU_TEMPERATURE",
    "GPU_ECC",
    "GPU_ROW_REMAP",
    "GPU_PAGES_RETIRED",
    "GPU_PERSISTENCE_OFF",
    "GPU_PCIE_LINK",
    "GPU_THROTTLED",
  ],
  probe: "gpu",
  description: "a GPU is hot, full, slowed down, or its memory is failing",
  judge: ({ gpus, vanished }, context) => ({
    findings: gpus.flatMap((gpu) => judgeGpu(gpu, context)),
    // Nothing read, or a GPU that is gone: what was known stays.
    blind: gpus.length === 0 ? [{}] : vanished.map((uuid) => ({ uuid })),
  }),
});

const gpuLabels = (gpu: Gpu) => ({
  gpu: gpu.index === null ? gpu.uuid : String(gpu.index),
  uuid: gpu.uuid,
});

function judgeGpu(gpu: Gpu, context: RuleContext): Finding[] {
  const labels = gpuLabels(gpu);
  const called = `GPU ${labels.gpu} (${gpu.name})`;
  const found: Finding[] = [];
  const add = (
    name: string,
    severity: Finding["severity"],
    text: string,
    advice: string,
    more: Partial<Finding> = {},
  ) => found.push({ name, severity, labels, summary: `${called}: ${text}`, advice, ...more });
  const active = (name: string) => context.activeSeverity(fingerprintOf(name, labels));
  const memoryLimits = {
    warning: context.thresholds.gpuMemoryWarning,
    critical: Math.max(gpuMemoryCritical, context.thresholds.gpuMemoryWarning),
  };
  const memory = levelOf(gpu.memoryUsage ?? 0, memoryLimits, active("GPU_MEMORY"), margin);
  if (memory !== undefined && gpu.memoryUsage !== null)
    add(
      "GPU_MEMORY",
      memory,
      `${percent(gpu.memoryUsage)} of its memory is used`,
      "normal for a model server that takes its memory in advance (vLLM: 0.9 by default, `--gpu-memory-utilization`): set STORAGE_MONITOR_GPU_MEMORY_WARNING above its share then; else see `nvidia-smi` for who holds it",
      { value: gpu.memoryUsage, threshold: memoryLimits[memory] },
    );
  const criticalC = context.thresholds.gpuTemperatureCriticalC;
  const heat = levelOf(
    gpu.temperatureC ?? -Infinity,
    { warning: criticalC - gpuWarmC, critical: criticalC },
    active("GPU_TEMPERATURE"),
    gpuMarginC,
  );
  if (heat !== undefined && gpu.temperatureC !== null)
    add(
      "GPU_TEMPERATURE",
      heat,
      `${gpu.temperatureC} °C`,
      "look at fans and air flow; the card slows itself down and at last stops",
      {
        value: gpu.temperatureC,
        threshold: heat === "critical" ? criticalC : criticalC - gpuWarmC,
      },
    );
  judgeGpuMemoryHealth(gpu, add);
  judgeGpuMode(gpu, add);
  return found;
}

type Add = (
  name: string,
  severity: Finding["severity"],
  text: string,
  advice: string,
  more?: Partial<Finding>,
) => void;

function judgeGpuMemoryHealth(gpu: Gpu, add: Add): void {
  const uncorrected = gpu.eccUncorrectedVolatile ?? 0;
  if (uncorrected > 0)
    add(
      "GPU_ECC",
      "critical",
      `${uncorrected} memory errors that could not be corrected since the driver was loaded`,
      "what ran on it may have computed nonsense; restart it, reset the GPU, and replace it if they come back",
      { value: uncorrected, acceptable: true },
    );
  if (gpu.remapFailure === true)
    add(
      "GPU_ROW_REMAP",
      "critical",
      "row remapping failed",
      "replace the card: its spare rows are used up",
    );
  else if (gpu.remapPending === true)
    add(
      "GPU_ROW_REMAP",
      "warning",
      "a row is to be remapped",
      "stop what uses the GPU and reset it (`nvidia-smi --gpu-reset`) or reboot: the bad row stays in use until then",
    );
  if (gpu.retiredPagesPending === true)
    add("GPU_PAGES_RETIRED", "warning", "pages wait to be retired", "reboot, or reset the GPU");
}

const badThrottles = new Set([
  "hw_slowdown",
  "hw_thermal_slowdown",
  "hw_power_brake_slowdown",
  "sw_thermal_slowdown",
]);

function judgeGpuMode(gpu: Gpu, add: Add): void {
  if (gpu.persistenceMode === false)
    add(
      "GPU_PERSISTENCE_OFF",
      "warning",
      "persistence mode is off",
      "`nvidia-smi -pm 1` or nvidia-persistenced: without it the driver unloads and each start of a model is slow",
    );
  // An idle GPU may lower its link: only a busy one shows what it has.
  const { pcieWidth, pcieWidthMax } = gpu;
  if (
    pcieWidth !== null &&
    pcieWidthMax !== null &&
    pcieWidth < pcieWidthMax &&
    (gpu.utilisation ?? 0) > 0
  )
    add(
      "GPU_PCIE_LINK",
      "warning",
      `its PCIe link has ${pcieWidth} of ${pcieWidthMax} lanes`,
      "reseat the card or look at the riser: models load slower",
      { value: pcieWidth, threshold: pcieWidthMax },
    );
  const reasons = gpu.throttleReasons.filter((reason) => badThrottles.has(reason));
  if (reasons.length > 0)
    add(
      "GPU_THROTTLED",
      "warning",
      `slowed down (${reasons.join(", ")})`,
      "look at power supply, fans and air flow",
    );
}

export const gpuVanishedRule = defineRule({
  names: ["GPU_VANISHED"],
  probe: "gpu",
  description: "a GPU that was there does not answer any more",
  judge: ({ gpus, vanished }, _context) => ({
    findings: vanished.map((uuid) => ({
      name: "GPU_VANISHED",
      severity: "critical",
      labels: { uuid },
      summary: `the GPU ${uuid} is gone`,
      advice:
        "see `dmesg | grep -i nvrm`; a power cycle often brings it back, then have it looked at",
    })),
    blind: gpus.length === 0 && vanished.length === 0 ? [{}] : [],
  }),
});

/** Xid numbers that mean hardware trouble (NVIDIA, "XID Errors"); others are mostly an application's fault. */
const severeXids: Readonly<Record<number, string>> = {
  48: "double bit ECC error",
  63: "a row or page was retired",
  64: "a row or page could not be retired",
  74: "NVLink error",
  79: "the GPU has fallen off the bus",
  92: "many corrected memory errors",
  94: "contained memory error",
  95: "uncontained memory error",
  119: "the GPU system processor does not answer",
  120: "the GPU system processor failed",
};

export const xidRule = defineRule({
  names: ["GPU_XID"],
  probe: "gpu",
  description: "the driver reports an error of a GPU",
  hold: 0,
  judge: ({ xids }) => ({ findings: xids.map(judgeXid) }),
});

function judgeXid(event: XidEvent): Finding {
  const meaning = severeXids[event.xid];
  return {
    name: "GPU_XID",
    severity:
      meaning === undefined || event.xid === 63 || event.xid === 92 ? "warning" : "critical",
    labels: { bus: event.busId, xid: String(event.xid) },
    summary: `the driver reports Xid ${event.xid}${meaning === undefined ? "" : ` (${meaning})`} for ${event.busId}`,
    advice:
      meaning === undefined
        ? "often a fault of the program that used it: look at its log"
        : "stop what runs there, reset the GPU or reboot; have it replaced if it comes back",
    value: event.xid,
    keepMs: xidKeepMs,
  };
}

export const serviceRule = defineRule({
  names: ["MODEL_SERVICE_DOWN"],
  probe: "services",
  description: "a model service that answered before, or should, does not answer",
  hold: 2,
  judge: ({ services }) => ({
    findings: services
      .filter((service) => service.expected && !service.up)
      .map((service) => ({
        name: "MODEL_SERVICE_DOWN",
        severity: "critical",
        labels: { service: service.name, port: String(service.port) },
        summary: `the model service ${service.name} does not answer on port ${service.port}: ${service.error ?? "no answer"}`,
        advice:
          "look at its log and start it again; a link or a model that is gone stops it too (`citadel-agent status`)",
      })),
  }),
});

export const agentRule = defineRule({
  names: ["AGENT_RESTARTED", "HISTORY_UNAVAILABLE", ...noticeNames],
  probe: "agent",
  description: "the agent ended without a clean stop, or ran into something itself",
  hold: 0,
  judge: (data) => ({
    findings: [
      ...data.notices,
      ...(data.restartedUncleanly
        ? [
            {
              name: "AGENT_RESTARTED",
              severity: "warning" as const,
              labels: {},
              summary: "the agent ended without a clean stop and was started again",
              advice: "`journalctl -u citadel-agent` and `citadel-agent explain AGENT_RESTARTED`",
              keepMs: 900_000,
            },
          ]
        : []),
      ...(data.historyProblem === null
        ? []
        : [
            {
              name: "HISTORY_UNAVAILABLE",
              severity: "warning" as const,
              labels: {},
              summary: `the history cannot be kept: ${data.historyProblem}`,
              advice:
                "free space on the disk of CITADEL_STATE_DIR, or make it writable; monitoring goes on without",
            },
          ]),
    ],
  }),
});
