// Every series the probes give: what it means, for the metrics, and whether the history keeps it. Names follow
// Prometheus practice without the `citadel_` prefix.

export interface SeriesInfo {
  readonly help: string;
  /** Kept in history.db: what trends and graphs of the past need. */
  readonly kept: boolean;
}

const kept = (help: string): SeriesInfo => ({ help, kept: true });
const shown = (help: string): SeriesInfo => ({ help, kept: false });

export const seriesTable: Readonly<Record<string, SeriesInfo>> = {
  storage_mounted: shown("Whether the storage root is mounted (1) or an empty directory (0)."),
  storage_read_only: shown("Whether the superblock of the storage root is read-only."),
  storage_size_bytes: shown("Size of the file system of the storage root."),
  storage_used_bytes: kept("Bytes used on the file system of the storage root."),
  storage_available_bytes: kept("Bytes available to users on the storage root."),
  storage_reserved_bytes: shown("Bytes reserved for root on the storage root."),
  storage_usage_ratio: kept("Share used, used / (used + available), as df counts."),
  storage_inode_usage_ratio: kept("Share of inodes used."),
  storage_coming_bytes: shown(
    "Bytes known to come to the storage root: downloads and backups that run.",
  ),
  storage_full_in_seconds: shown("Estimated time until the storage root is full."),
  storage_growth_bytes_per_day: shown("Growth of the storage root per day, robust estimate."),
  storage_latency_p50_seconds: shown("Median time of a 4 KiB fsynced write or direct read."),
  storage_latency_p95_seconds: kept("95th percentile of a 4 KiB fsynced write or direct read."),
  storage_latency_p99_seconds: shown("99th percentile of a 4 KiB fsynced write or direct read."),
  disk_reads_per_second: kept("Reads finished per second."),
  disk_writes_per_second: kept("Writes finished per second."),
  disk_read_bytes_per_second: kept("Bytes read per second."),
  disk_written_bytes_per_second: kept("Bytes written per second."),
  disk_await_seconds: kept("Mean time of a finished request, queue included."),
  disk_utilisation_ratio: kept("Share of time with a request in flight."),
  disk_queue_length: shown("Mean number of requests in flight."),
  disk_kernel_errors: shown("Kernel messages about errors of the disk since the last cycle."),
  io_pressure_ratio: kept("Share of time that tasks waited for I/O, over 60 s (PSI)."),
  smart_temperature_celsius: kept("Temperature of the disk."),
  smart_wear_ratio: kept("Share of the rated endurance used; may exceed 1."),
  smart_spare_ratio: kept("Spare capacity left."),
  smart_media_errors: kept("Media errors that could not be corrected."),
  smart_reallocated_sectors: kept("Reallocated sectors."),
  smart_pending_sectors: kept("Sectors that wait to be reallocated."),
  smart_power_on_hours: shown("Hours the disk was powered."),
  smart_healthy: shown("Whether the disk says that it works (1) or fails (0); absent: unknown."),
  links: shown("Links that should exist."),
  links_healthy: shown("Links that lead where they should."),
  model_damaged: shown("Whether the model directory is damaged."),
  model_size_bytes: kept("Size of the model directory."),
  model_service_up: shown("Whether the model service answers."),
  backup_snapshots: shown("Complete snapshots."),
  backup_damaged_snapshots: shown("Snapshots known to be damaged."),
  backup_failed_jobs: shown("Kinds of backup job and sources whose newest run failed."),
  backup_last_complete_timestamp_seconds: shown("When the newest complete snapshot was finished."),
  backup_last_verified_timestamp_seconds: shown("When a snapshot was last verified."),
  backup_verified_ratio: kept(
    "Share of the stored bytes that was read and matched within BACKUP_VERIFY_EVERY_DAYS.",
  ),
  backup_verify_lag_seconds: kept(
    "How long beyond BACKUP_VERIFY_EVERY_DAYS the oldest stored content waits to be verified.",
  ),
  cpu_usage_ratio: kept("Share of all processors busy."),
  cpu_iowait_ratio: shown("Share of time that processors idled with I/O outstanding."),
  load1: shown("Load average over one minute."),
  memory_available_bytes: kept("Memory available without swapping."),
  memory_total_bytes: shown("Memory of the host."),
  memory_usage_ratio: kept("Share of memory that is not available."),
  gpu_memory_used_bytes: kept("GPU memory used."),
  gpu_memory_total_bytes: shown("GPU memory."),
  gpu_utilisation_ratio: kept("Share of time that a kernel ran on the GPU."),
  gpu_temperature_celsius: kept("Temperature of the GPU."),
  gpu_power_watts: kept("Power the GPU draws."),
  gpu_ecc_corrected_errors_total: shown("Corrected memory errors over the life of the GPU."),
  gpu_ecc_uncorrected_errors_total: shown("Uncorrected memory errors over the life of the GPU."),
  gpu_remapped_rows: shown("Memory rows remapped."),
  gpu_retired_pages: shown("Memory pages retired."),
  gpu_pcie_link_width: shown("Lanes of the PCIe link in use."),
  agent_cpu_ratio: kept("Share of one processor that the agent uses."),
  agent_resident_memory_bytes: kept("Resident memory of the agent."),
  agent_anonymous_memory_bytes: shown("Anonymous memory of the agent."),
  agent_open_files: shown("Open file descriptors of the agent."),
  agent_uptime_seconds: shown("Seconds since the agent started."),
  agent_queue_length: shown("Messages that wait in a queue of the agent."),
};
