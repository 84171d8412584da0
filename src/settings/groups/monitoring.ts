// Monitoring (STORAGE_MONITOR_…): the daemon's rhythm, ports, thresholds and how long it remembers.

import { modelPorts } from "../dictionaries.ts";
import { field, type Field, type ValuesOf } from "../field.ts";
import { boolean, decimal, host, integer } from "../types.ts";

const port = integer(1, 65_535);
const ratio = decimal(0.1, 1);
/** Two million seconds, 23 days: what a timer of 32 bits in milliseconds can still hold. */
const seconds = integer(1, 2_000_000);
const days = integer(1, 36_500);

function portField(name: string, value: number, meaning: string): Field<number> {
  return field(`STORAGE_MONITOR_${name}`, port, value, meaning);
}

function ratioField(name: string, value: number, meaning: string): Field<number> {
  return field(`STORAGE_MONITOR_${name}`, ratio, value, meaning);
}

function switchField(name: string, value: boolean, meaning: string): Field<boolean> {
  return field(`STORAGE_MONITOR_${name}`, boolean, value, meaning);
}

export const monitoringFields = {
  enable_monitoring: switchField("ENABLE_MONITORING", true, "master switch of the daemon's probes"),
  check_interval: field(
    "STORAGE_MONITOR_CHECK_INTERVAL",
    seconds,
    60,
    "interval of the monitoring loop, in seconds",
  ),
  enable_remote_monitoring: switchField(
    "ENABLE_REMOTE_MONITORING",
    true,
    "send to the configured destinations (without one nothing leaves the host)",
  ),
  dev_ops_server: field(
    "STORAGE_MONITOR_DEV_OPS_SERVER",
    host,
    "192.168.10.36",
    "operations server",
  ),
  prometheus_port: portField("PROMETHEUS_PORT", 9090, "Prometheus on the operations server"),
  grafana_port: portField("GRAFANA_PORT", 3000, "Grafana on the operations server"),
  alertmanager_port: portField("ALERTMANAGER_PORT", 9093, "Alertmanager on the operations server"),
  metrics_port: portField(
    "METRICS_PORT",
    8000,
    "local port of /metrics (also the default port of vLLM: change one of them where both run)",
  ),
  health_check_port: portField("HEALTH_CHECK_PORT", 8001, "local port of /healthz and /status"),
  model_ports: field(
    "STORAGE_MONITOR_MODEL_PORTS",
    modelPorts,
    {
      mixtral: 11400,
      hermes: 11401,
      openchat: 11402,
      phi3: 11403,
      yi34b: 11404,
      coder: 11405,
      vision: 11500,
    },
    "model alias -> port of its service, to probe",
  ),
  disk_usage_warning: ratioField("DISK_USAGE_WARNING", 0.8, "share of a disk used: warning"),
  disk_usage_critical: ratioField("DISK_USAGE_CRITICAL", 0.9, "share of a disk used: critical"),
  inode_usage_warning: ratioField(
    "INODE_USAGE_WARNING",
    0.8,
    "share of inodes used: warning; critical from 0.95",
  ),
  cpu_usage_warning: ratioField("CPU_USAGE_WARNING", 0.8, "CPU use: warning; critical from 0.9"),
  memory_usage_warning: ratioField(
    "MEMORY_USAGE_WARNING",
    0.85,
    "memory use: warning; critical from 0.95",
  ),
  gpu_memory_warning: ratioField(
    "GPU_MEMORY_WARNING",
    0.9,
    "GPU memory use: warning; critical from 0.95",
  ),
  gpu_temperature_critical: field(
    "STORAGE_MONITOR_GPU_TEMPERATURE_CRITICAL",
    decimal(0),
    80,
    "GPU temperature in degrees Celsius: critical",
  ),
  io_latency_threshold: field(
    "STORAGE_MONITOR_IO_LATENCY_THRESHOLD",
    decimal(0),
    100,
    "I/O latency in milliseconds: warning",
  ),
  throughput_threshold: field(
    "STORAGE_MONITOR_THROUGHPUT_THRESHOLD",
    decimal(0),
    100,
    "least throughput in MB/s that `perf` calls good",
  ),
  enable_smart_checks: switchField("ENABLE_SMART_CHECKS", true, "ask the disks for SMART health"),
  smart_check_interval: field(
    "STORAGE_MONITOR_SMART_CHECK_INTERVAL",
    seconds,
    3600,
    "interval of the SMART checks, in seconds",
  ),
  metrics_retention_days: field(
    "STORAGE_MONITOR_METRICS_RETENTION_DAYS",
    days,
    30,
    "how long samples are kept, in days",
  ),
  alerts_retention_days: field(
    "STORAGE_MONITOR_ALERTS_RETENTION_DAYS",
    days,
    7,
    "how long resolved alerts are kept, in days",
  ),
  bind: field(
    "STORAGE_MONITOR_BIND",
    host,
    "127.0.0.1",
    "address of the metrics and health ports; any but loopback needs agent.http_token",
  ),
  repairs_per_hour: field(
    "STORAGE_MONITOR_REPAIRS_PER_HOUR",
    integer(1, 1000),
    3,
    "how often the daemon mends one link within an hour before it alerts instead",
  ),
  expect_services: switchField(
    "EXPECT_SERVICES",
    false,
    "alert on a model port that never answered, too",
  ),
};

export type MonitoringSettings = ValuesOf<typeof monitoringFields>;
