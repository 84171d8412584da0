// Samples of healthy things for the monitor's tests; each test changes what it is about.

import type { Gpu, RootMount, RootSpace, SmartDisk } from "../../src/monitor/data.ts";
import { createRuleContext } from "../../src/monitor/evaluate.ts";
import type { Alert } from "../../src/monitor/alert.ts";
import type { Thresholds } from "../../src/monitor/rule.ts";
import { unknownDisk } from "../../src/monitor/smart/parse.ts";

/** The defaults of the settings. */
export const testThresholds: Thresholds = {
  diskUsageWarning: 0.8,
  diskUsageCritical: 0.9,
  inodeUsageWarning: 0.8,
  cpuUsageWarning: 0.8,
  memoryUsageWarning: 0.85,
  gpuMemoryWarning: 0.9,
  gpuTemperatureCriticalC: 80,
  ioLatencyMs: 100,
  throughputBytesPerS: 100e6,
};

export const testContext = (alerts: readonly Alert[] = [], nowMs = Date.UTC(2026, 0, 10)) =>
  createRuleContext(testThresholds, alerts, nowMs);

export const spaceOf = (more: Partial<RootSpace> = {}): RootSpace => ({
  role: "models",
  path: "/mnt/citadel-models",
  answering: true,
  exists: true,
  reason: null,
  mountpoint: "/mnt/citadel-models",
  device: "/dev/nvme0n1p1",
  fstype: "ext4",
  totalBytes: 1e12,
  usedBytes: 5e11,
  availableBytes: 5e11,
  reservedBytes: 0,
  usage: 0.5,
  inodeUsage: 0.1,
  comingBytes: 0,
  trend: null,
  ...more,
});

export const mountOf = (more: Partial<RootMount> = {}): RootMount => ({
  role: "models",
  path: "/mnt/citadel-models",
  requireMount: true,
  mounted: true,
  mountpoint: "/mnt/citadel-models",
  device: "/dev/nvme0n1p1",
  fstype: "ext4",
  uuid: "1111-2222",
  readOnly: false,
  expectedUuid: "1111-2222",
  expectedFstype: "ext4",
  missingOptions: [],
  ...more,
});

export const diskOf = (more: Partial<SmartDisk> = {}): SmartDisk => ({
  ...unknownDisk("/dev/nvme0n1", ["models"], ""),
  state: "ok",
  reason: null,
  passed: true,
  serial: "S1",
  ...more,
});

export const gpuOf = (more: Partial<Gpu> = {}): Gpu => ({
  index: 0,
  uuid: "GPU-00000000-0000-0000-0000-000000000000",
  name: "NVIDIA H200",
  busId: "00000000:3B:00.0",
  memoryTotalBytes: 140e9,
  memoryUsedBytes: 1e9,
  memoryUsage: 0.01,
  utilisation: 0,
  temperatureC: 40,
  powerW: 80,
  powerLimitW: 700,
  throttleReasons: [],
  eccEnabled: true,
  eccCorrectedVolatile: 0,
  eccUncorrectedVolatile: 0,
  eccCorrectedAggregate: 0,
  eccUncorrectedAggregate: 0,
  remappedRows: 0,
  remapPending: false,
  remapFailure: false,
  retiredPages: null,
  retiredPagesPending: null,
  pcieWidth: 16,
  pcieWidthMax: 16,
  persistenceMode: true,
  migMode: false,
  ...more,
});
