import { describe, expect, test } from "bun:test";
import { safeParse } from "valibot";
import { formatValue } from "../../src/settings/example.ts";
import { knownFields, groups } from "../../src/settings/schema.ts";
import { inspectWith } from "./world.ts";

/** Variable, default, values that must be taken, values that must be refused. */
const table: readonly (readonly [string, unknown, readonly string[], readonly string[]])[] = [
  ...[
    ["CITADEL_APP_ROOT", "/opt/citadel"],
    ["CITADEL_APP_MODELS", "/opt/citadel/models"],
    ["CITADEL_APP_SCRIPTS", "/opt/citadel/scripts"],
    ["CITADEL_APP_CONFIGS", "/opt/citadel/configs"],
    ["CITADEL_APP_LOGS", "/opt/citadel/logs"],
    ["CITADEL_MODELS_ROOT", "/mnt/citadel-models"],
    ["CITADEL_MODELS_ACTIVE", "/mnt/citadel-models/active"],
    ["CITADEL_MODELS_ARCHIVE", "/mnt/citadel-models/archive"],
    ["CITADEL_MODELS_CACHE", "/mnt/citadel-models/cache"],
    ["CITADEL_MODELS_DOWNLOADS", "/mnt/citadel-models/downloads"],
    ["CITADEL_MODELS_STAGING", "/mnt/citadel-models/staging"],
    ["CITADEL_BACKUP_ROOT", "/mnt/citadel-backup"],
    ["CITADEL_BACKUP_MODELS", "/mnt/citadel-backup/models"],
    ["CITADEL_BACKUP_SYSTEM", "/mnt/citadel-backup/system"],
    ["CITADEL_HF_CACHE", "/mnt/citadel-models/cache"],
    ["CITADEL_TORCH_CACHE", "/mnt/citadel-models/cache/torch"],
    ["CITADEL_VLLM_CACHE", "/mnt/citadel-models/cache/vllm"],
    ["CITADEL_TRANSFORMERS_CACHE", "/mnt/citadel-models/cache/transformers"],
    ["CITADEL_STATE_DIR", "/var/lib/citadel-agent"],
  ].map(
    ([name = "", path]) =>
      [name, path, ["/x", "/a b/ü"], ["", "relative/x", "/", "/a/../b", "~/x", "/a\0b"]] as const,
  ),
  ...[
    ["MODEL_VERIFICATION_ENABLED", true],
    ["MODEL_AUTO_BACKUP", true],
    ["SYMLINK_FORCE_RECREATE", false],
    ["SYMLINK_VERIFY_TARGETS", true],
    ["SYMLINK_CREATE_MISSING_TARGETS", true],
    ["SYMLINK_REPAIR_BROKEN_LINKS", true],
    ["STORAGE_MONITOR_ENABLE_MONITORING", true],
    ["STORAGE_MONITOR_ENABLE_REMOTE_MONITORING", true],
    ["STORAGE_MONITOR_ENABLE_SMART_CHECKS", true],
    ["STORAGE_MONITOR_EXPECT_SERVICES", false],
    ["BACKUP_ENABLE_AUTO_BACKUP", true],
    ["BACKUP_INCREMENTAL_BACKUP", true],
    ["BACKUP_COMPRESS_BACKUPS", true],
    ["BACKUP_DEDUPLICATION_ENABLED", true],
    ["BACKUP_VERIFY_BACKUPS", true],
    ["BACKUP_TEST_RESTORE_ENABLED", true],
  ].map(
    ([name, value]) =>
      [
        String(name),
        value,
        ["1", "T", "Yes", "y", "ON", "0", "False", "f", "no", "N", "off"],
        ["", "2", "ja", " on", "constructor"],
      ] as const,
  ),
  ...[
    ["STORAGE_MONITOR_PROMETHEUS_PORT", 9090],
    ["STORAGE_MONITOR_GRAFANA_PORT", 3000],
    ["STORAGE_MONITOR_ALERTMANAGER_PORT", 9093],
    ["STORAGE_MONITOR_METRICS_PORT", 8000],
    ["STORAGE_MONITOR_HEALTH_CHECK_PORT", 8001],
    ["CITADEL_SERVE_PORT", 3001],
  ].map(
    ([name, port]) =>
      [String(name), port, ["1", " 65535 "], ["0", "65536", "-1", "80.0", "", "http"]] as const,
  ),
  ...[
    ["STORAGE_MONITOR_DISK_USAGE_CRITICAL", 0.9],
    ["STORAGE_MONITOR_INODE_USAGE_WARNING", 0.8],
    ["STORAGE_MONITOR_CPU_USAGE_WARNING", 0.8],
    ["STORAGE_MONITOR_MEMORY_USAGE_WARNING", 0.85],
    ["STORAGE_MONITOR_GPU_MEMORY_WARNING", 0.9],
  ].map(
    ([name, ratio]) =>
      [
        String(name),
        ratio,
        ["1", "1.0", " 0.95", "9e-1"],
        ["0.09", "1.1", "nan", "", "inf", "80%"],
      ] as const,
  ),
  ["STORAGE_MONITOR_DISK_USAGE_WARNING", 0.8, ["0.1", "0.89"], ["0.09", "1.1", "0.9", "nan", ""]],
  ...[
    ["MODEL_DOWNLOAD_TIMEOUT", 1800],
    ["SYMLINK_HEALTH_CHECK_INTERVAL", 300],
    ["STORAGE_MONITOR_CHECK_INTERVAL", 60],
    ["STORAGE_MONITOR_SMART_CHECK_INTERVAL", 3600],
    ["STORAGE_MONITOR_METRICS_RETENTION_DAYS", 30],
    ["STORAGE_MONITOR_ALERTS_RETENTION_DAYS", 7],
    ["STORAGE_MONITOR_REPAIRS_PER_HOUR", 3],
    ["BACKUP_RETENTION_DAYS", 30],
    ["BACKUP_VERIFY_EVERY_DAYS", 7],
    ["CITADEL_PUSH_INTERVAL", 60],
  ].map(
    ([name, value]) =>
      [String(name), value, ["1", "1000"], ["0", "-5", "60.0", "", "1e3"]] as const,
  ),
  ...[
    ["STORAGE_MONITOR_GPU_TEMPERATURE_CRITICAL", 80],
    ["STORAGE_MONITOR_IO_LATENCY_THRESHOLD", 100],
    ["STORAGE_MONITOR_THROUGHPUT_THRESHOLD", 100],
  ].map(
    ([name, value]) => [String(name), value, ["0", "99.5"], ["NaN", "Infinity", "", "x"]] as const,
  ),
  ...["STORAGE_MONITOR_BIND", "CITADEL_SERVE_HOST"].map(
    (name) =>
      [
        name,
        "127.0.0.1",
        ["0.0.0.0", "::1", "::", "host-1.example"],
        ["", "a b", "http://x", "-x"],
      ] as const,
  ),
  ["STORAGE_MONITOR_DEV_OPS_SERVER", "192.168.10.36", ["ops.example.org"], ["", "a:b:c/d", "x y"]],
  [
    "SYMLINK_DIRECTORY_MODE",
    "0755",
    ["755", "2775"],
    ["9999", "75", "07555", "", "rwxr-xr-x", "0o755"],
  ],
  ["SYMLINK_SYMLINK_OWNER", "agent0", ["root", "1000"], ["", "a b", "a:b"]],
  ["SYMLINK_SYMLINK_GROUP", "agent0", ["root", "1000"], ["", "a b", "a:b"]],
  [
    "BACKUP_BACKUP_SCHEDULE",
    "0 2 * * *",
    ["*/5 1-3 * * mon"],
    ["", "0 2 * *", "0 25 * * *", "@daily"],
  ],
  ["BACKUP_COMPRESSION_ALGORITHM", "zstd", ["gzip", "LZ4"], ["", "bzip2"]],
  ["BACKUP_COMPRESSION_LEVEL", 3, ["1", "22"], ["0", "23", ""]],
  ["BACKUP_PARALLEL_JOBS", 4, ["1", "16"], ["0", "17"]],
  ["BACKUP_VERIFICATION_SAMPLE_RATE", 0.1, ["0", "1"], ["-0.1", "1.01", ""]],
  ["BACKUP_CHECKSUM_ALGORITHM", "sha256", ["sha512", "sha1", "md5"], ["", "crc32"]],
  ["BACKUP_MAX_RETRY_ATTEMPTS", 3, ["1", "10"], ["0", "11"]],
  ["BACKUP_RETRY_DELAY_SECONDS", 30, ["5", "300"], ["4", "301"]],
  ["BACKUP_IO_LIMIT", 0, ["1", "50MB"], ["-1", "", "fast"]],
  ["BACKUP_RESERVE_BYTES", 67_108_864, ["0", "1GiB"], ["-1", "1 XB"]],
  ["CITADEL_REQUIRE_MOUNTS", "auto", ["AUTO", "yes", "no"], ["", "maybe"]],
  ["CITADEL_TUNE_PROFILE", "safe", ["planb-02"], ["", "fast"]],
  [
    "CITADEL_HISTORY_KEEP",
    { generations: 100, days: 365 },
    ["5", "5,30", "1 generation, 1 day"],
    ["", "0", "5,0", "forever", "-1"],
  ],
  ...["CITADEL_PUSH_URL", "CITADEL_ALERTMANAGER_URL", "CITADEL_PUSHGATEWAY_URL"].map(
    (name) =>
      [
        name,
        undefined,
        ["", "https://x/y", "http://[::1]:9/"],
        ["x", "file:///etc/passwd", "/x"],
      ] as const,
  ),
  ...["CITADEL_WEBHOOK_URL", "CITADEL_PING_URL"].map(
    (name) => [name, undefined, ["", "https://x/y"], ["x", "ftp://x"]] as const,
  ),
  ...["CITADEL_PUSH_TOKEN", "CITADEL_PUSH_HMAC_SECRET", "CITADEL_HTTP_TOKEN"].map(
    (name) => [name, undefined, ["", "abc.DEF-1"], ["two words", "line\nbreak", "ü"]] as const,
  ),
  ["CITADEL_CA_FILE", undefined, ["", "/etc/ssl/x.pem"], ["x.pem", "/a/../b"]],
  [
    "MODEL_MODEL_DIRECTORIES",
    {
      "mixtral-8x7b-instruct": "Mixtral-8x7B-Instruct-v0.1",
      "nous-hermes-2-mixtral": "Nous-Hermes-2-Mixtral-8x7B-DPO",
      "openchat-3.5": "openchat-3.5-1210",
      "phi-3-mini-128k": "Phi-3-mini-128k-instruct",
      "yi-34b-chat": "Yi-34B-Chat",
      "deepcoder-14b-instruct": "deepseek-coder-14b-instruct-v1.5",
      "mimo-vl-7b-rl": "imp-v1_5-7b",
    },
    ["{}", '{"a": "b"}'],
    ["", "x", "[]", "3", '{"a": ""}', '{"a": ".."}', '{"a": "b/c"}', '{"a": 1}', '{"": "x"}'],
  ],
  [
    "MODEL_CONVENIENCE_LINKS",
    {
      mixtral: "mixtral-8x7b-instruct",
      hermes: "nous-hermes-2-mixtral",
      openchat: "openchat-3.5",
      phi3: "phi-3-mini-128k",
      yi34b: "yi-34b-chat",
      coder: "deepcoder-14b-instruct",
      vision: "mimo-vl-7b-rl",
    },
    ["{}", '{"my-model": "yi-34b-chat"}'],
    ["x", '{"..": "a"}', '{"a/b": "a"}', '{"": "a"}', '{"--": "a"}', '{"a-b": "k", "a_b": "k"}'],
  ],
  [
    "STORAGE_MONITOR_MODEL_PORTS",
    {
      mixtral: 11400,
      hermes: 11401,
      openchat: 11402,
      phi3: 11403,
      yi34b: 11404,
      coder: 11405,
      vision: 11500,
    },
    ["{}", '{"a": 1}', '{"a": "99"}'],
    ['{"a": 0}', '{"a": "x"}', '{"a": 65536}', "[1]"],
  ],
  [
    "BACKUP_BACKUP_TYPES",
    { daily: "0 2 * * *", weekly: "0 3 * * 0", monthly: "0 4 1 * *" },
    ["{}", '{"hourly": "0 * * * *"}'],
    ['{"daily": "0 2 * *"}', '{"../x": "0 2 * * *"}', '{"daily": 3}'],
  ],
];

const valueOf = (name: string, settings: unknown): unknown => {
  const known = knownFields.find(({ field }) => field.name === name);
  const all = settings as Record<string, Record<string, unknown>>;
  return known && all[known.group]?.[known.fieldName];
};

describe("the schema", () => {
  test("has exactly the settings of this table", () => {
    const ours = knownFields.map(({ field }) => field.name).sort();
    expect(ours).toEqual(table.map(([name]) => name).sort());
  });

  test("begins every variable with the prefix of its group and ends it with the key", () => {
    for (const { group, fieldName, field } of knownFields) {
      const prefix = groups.find(({ name }) => name === group)?.prefix;
      expect(field.name).toBe(`${prefix}${fieldName.toUpperCase()}`);
    }
  });

  test("accepts its own defaults, as values and as text", () => {
    for (const { field } of knownFields) {
      if (field.default === undefined) continue;
      const schema = field.type.schema();
      for (const form of [field.default, formatValue(field, field.default)]) {
        const parsed = safeParse(schema, form);
        expect({ name: field.name, output: parsed.output }).toEqual({
          name: field.name,
          output: field.default,
        });
      }
    }
  });

  test.each(table)("%s has its default and its range", (name, expected, good, bad) => {
    expect(valueOf(name, inspectWith({}).settings)).toEqual(expected);
    // A level that only zstd has, ports and thresholds are judged together with their neighbours elsewhere.
    for (const text of good) {
      const { problems } = inspectWith({ [name]: text });
      expect({ text, problems }).toEqual({ text, problems: [] });
    }
    for (const text of bad) {
      const { problems } = inspectWith({ [name]: text });
      expect({ text, count: problems.length }).toEqual({ text, count: 1 });
    }
  });
});
