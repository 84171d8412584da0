// Rules about several settings at once, which no single value can break.

import { isWithin, modelVariableName } from "../core/index.ts";
import type { Settings } from "./schema.ts";

export interface Finding {
  /** The settings it is about, as `group.key`; the first one is named in the error. */
  readonly keys: readonly [string, ...string[]];
  readonly rule: string;
  readonly severity: "problem" | "warning";
}

/** @returns what is wrong between the settings; empty when nothing is */
export function checkSettings(settings: Settings): Finding[] {
  return [
    ...checkThresholds(settings),
    ...checkPorts(settings),
    ...checkCompression(settings),
    ...checkModels(settings),
    ...checkPaths(settings),
    ...checkExposure(settings),
  ];
}

function checkThresholds({ monitoring }: Settings): Finding[] {
  const { disk_usage_warning: warning, disk_usage_critical: critical } = monitoring;
  if (warning < critical) return [];
  return [
    {
      keys: ["monitoring.disk_usage_warning", "monitoring.disk_usage_critical"],
      rule: `must be below monitoring.disk_usage_critical (${critical})`,
      severity: "problem",
    },
  ];
}

/** The ports that we open ourselves must differ; those of the models are only asked. */
function checkPorts({ monitoring, service }: Settings): Finding[] {
  const opened: readonly [string, number][] = [
    ["monitoring.metrics_port", monitoring.metrics_port],
    ["monitoring.health_check_port", monitoring.health_check_port],
    ["service.port", service.port],
  ];
  const findings: Finding[] = [];
  for (const [at, [key, port]] of opened.entries()) {
    const [other] = opened.slice(0, at).find((before) => before[1] === port) ?? [];
    if (other !== undefined) {
      findings.push({
        keys: [key, other],
        rule: `must differ from ${other}, which is ${port}, too`,
        severity: "problem",
      });
    }
  }
  for (const [alias, port] of Object.entries(monitoring.model_ports)) {
    const [own] = opened.find((each) => each[1] === port) ?? [];
    if (own !== undefined) {
      findings.push({
        keys: ["monitoring.model_ports", own],
        rule: `the port ${port} of ${alias} is also ${own}, which the agent opens`,
        severity: "warning",
      });
    }
  }
  return findings;
}

const highestLevels = { gzip: 9, lz4: 12, zstd: 22 } as const;

function checkCompression({ backup }: Settings): Finding[] {
  const algorithm = backup.compression_algorithm;
  const findings: Finding[] = [];
  if (backup.compression_level > highestLevels[algorithm]) {
    findings.push({
      keys: ["backup.compression_level", "backup.compression_algorithm"],
      rule: `must be from 1 to ${highestLevels[algorithm]} for ${algorithm}`,
      severity: "problem",
    });
  }
  if (backup.checksum_algorithm === "md5" || backup.checksum_algorithm === "sha1") {
    findings.push({
      keys: ["backup.checksum_algorithm"],
      rule: `${backup.checksum_algorithm} does not protect against deliberate changes; use sha256`,
      severity: "warning",
    });
  }
  return findings;
}

/** Links need a model; their variables must differ. */
function checkModels({ models }: Settings): Finding[] {
  const key = "models.convenience_links";
  const findings: Finding[] = [];
  const variables = new Map<string, string>();
  const known = new Set(Object.keys(models.model_directories)); // with thousands of links a look-up each counts
  for (const [alias, model] of Object.entries(models.convenience_links)) {
    const variable = modelVariableName(alias);
    const other = variables.get(variable);
    if (other !== undefined) {
      findings.push({
        keys: [key],
        rule: `the aliases ${other} and ${alias} have the same variable ${variable}`,
        severity: "problem",
      });
    }
    variables.set(variable, alias);
    if (!known.has(model)) {
      findings.push({
        keys: [key, "models.model_directories"],
        rule: `${alias} names ${model}, which models.model_directories lacks: no link is made`,
        severity: "warning",
      });
    }
  }
  return findings;
}

/** A backup inside of what it backs up would back itself up, and die with it. */
function checkPaths({ paths }: Settings): Finding[] {
  if (!isWithin(paths.backup_root, paths.models_root)) return [];
  return [
    {
      keys: ["paths.backup_root", "paths.models_root"],
      rule: `lies within paths.models_root (${paths.models_root}): a backup there dies with what it backs up`,
      severity: "warning",
    },
  ];
}

const loopback = /^(?:127\.|localhost$|\[?::1\]?$)/i;

/** What would leave the host, or be open to it, unprotected. */
function checkExposure({ agent, monitoring }: Settings): Finding[] {
  const findings: Finding[] = [];
  if (!loopback.test(monitoring.bind) && agent.http_token === undefined) {
    findings.push({
      keys: ["monitoring.bind", "agent.http_token"],
      rule: `needs agent.http_token: without it the daemon does not listen on ${monitoring.bind}`,
      severity: "warning",
    });
  }
  const push = agent.push_url === undefined ? null : URL.parse(agent.push_url);
  const hasSecret = agent.push_token !== undefined;
  if (push?.protocol === "http:" && hasSecret && !loopback.test(push.hostname)) {
    findings.push({
      keys: ["agent.push_url", "agent.push_token"],
      rule: "is plain http: the token would be readable on the way; use https",
      severity: "warning",
    });
  }
  return findings;
}
