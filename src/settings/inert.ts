// Settings that are accepted and checked, and that nothing reads yet. Written by scripts/settings-inert.ts.

export const inertSettings: ReadonlySet<string> = new Set([
  "models.download_timeout",
  "models.verification_enabled",
  "models.auto_backup",
  "monitoring.prometheus_port",
  "monitoring.grafana_port",
  "service.host",
]);
