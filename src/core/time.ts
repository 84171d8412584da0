// Times and durations as the JSON documents and the terminal show them.

/** RFC 3339 in UTC with milliseconds: `2026-01-02T03:04:05.678Z`. */
export function formatTime(atMs: number): string {
  return new Date(atMs).toISOString();
}

/** A duration for a person: `350 ms`, `12.3 s`, `4 min 5 s`, `3 h 20 min`, `5 d 4 h`. */
export function formatDuration(durationMs: number): string {
  const seconds = durationMs / 1000;
  if (seconds < 1) return `${Math.round(durationMs)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** How long ago, for a person: `just now`, `5 min ago`, `in 3 h`. */
export function formatRelative(atMs: number, nowMs: number): string {
  const distanceMs = Math.abs(nowMs - atMs);
  if (distanceMs < 5000) return "just now";
  const [amount, unit] =
    distanceMs < 60_000
      ? [Math.round(distanceMs / 1000), "s"]
      : distanceMs < 3_600_000
        ? [Math.round(distanceMs / 60_000), "min"]
        : distanceMs < 172_800_000
          ? [Math.round(distanceMs / 3_600_000), "h"]
          : [Math.round(distanceMs / 86_400_000), "d"];
  return atMs <= nowMs ? `${amount} ${unit} ago` : `in ${amount} ${unit}`;
}
