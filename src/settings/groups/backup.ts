// Backup (BACKUP_…): when, how and how carefully copies are made and proved.

import { cronTexts } from "../dictionaries.ts";
import { field, type ValuesOf } from "../field.ts";
import { boolean, choice, cron, decimal, integer, size } from "../types.ts";

export const backupFields = {
  enable_auto_backup: field("BACKUP_ENABLE_AUTO_BACKUP", boolean, true, "scheduled backups"),
  backup_schedule: field(
    "BACKUP_BACKUP_SCHEDULE",
    cron,
    "0 2 * * *",
    "the daily schedule, unless backup_types names another; local time",
  ),
  retention_days: field(
    "BACKUP_RETENTION_DAYS",
    integer(1, 36_500),
    30,
    "age in days from which `backup cleanup` removes plain backups",
  ),
  incremental_backup: field("BACKUP_INCREMENTAL_BACKUP", boolean, true, "incremental by default"),
  compress_backups: field(
    "BACKUP_COMPRESS_BACKUPS",
    boolean,
    true,
    "compress files that shrink by a tenth or more",
  ),
  compression_algorithm: field(
    "BACKUP_COMPRESSION_ALGORITHM",
    choice("zstd", "gzip", "lz4"),
    "zstd",
    "compression algorithm",
  ),
  compression_level: field(
    "BACKUP_COMPRESSION_LEVEL",
    integer(1, 22),
    3,
    "compression level: gzip 1-9, lz4 1-12, zstd 1-22",
  ),
  backup_types: field(
    "BACKUP_BACKUP_TYPES",
    cronTexts,
    { daily: "0 2 * * *", weekly: "0 3 * * 0", monthly: "0 4 1 * *" },
    "typed schedules; retention counts daily, weekly and monthly, others go by age",
  ),
  deduplication_enabled: field(
    "BACKUP_DEDUPLICATION_ENABLED",
    boolean,
    true,
    "store equal content once",
  ),
  parallel_jobs: field("BACKUP_PARALLEL_JOBS", integer(1, 16), 4, "files copied at a time"),
  verify_backups: field("BACKUP_VERIFY_BACKUPS", boolean, true, "verify after creation"),
  verification_sample_rate: field(
    "BACKUP_VERIFICATION_SAMPLE_RATE",
    decimal(0, 1),
    0.1,
    "share of the files that the check after creation reads again",
  ),
  checksum_algorithm: field(
    "BACKUP_CHECKSUM_ALGORITHM",
    choice("sha256", "sha512", "sha1", "md5"),
    "sha256",
    "checksum of the manifest (sha1 and md5 are weak: a warning)",
  ),
  test_restore_enabled: field(
    "BACKUP_TEST_RESTORE_ENABLED",
    boolean,
    true,
    "restore a sample from time to time and compare it",
  ),
  max_retry_attempts: field(
    "BACKUP_MAX_RETRY_ATTEMPTS",
    integer(1, 10),
    3,
    "how often a job that failed for a passing reason is run",
  ),
  retry_delay_seconds: field(
    "BACKUP_RETRY_DELAY_SECONDS",
    integer(5, 300),
    30,
    "wait before such a job is run again, in seconds",
  ),
  verify_every_days: field(
    "BACKUP_VERIFY_EVERY_DAYS",
    integer(1, 36_500),
    7,
    "within how many days every stored byte is read again and compared",
  ),
  io_limit: field(
    "BACKUP_IO_LIMIT",
    size(),
    0,
    "limit of backup I/O in bytes per second; 0 means none",
  ),
  reserve_bytes: field(
    "BACKUP_RESERVE_BYTES",
    size(),
    64 * 1024 ** 2,
    "size of the emergency reserve file on the backup root; 0 means none",
  ),
};

export type BackupSettings = ValuesOf<typeof backupFields>;
