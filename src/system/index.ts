// The outside world: the only folder that may name node:fs, bun:sqlite, Bun.spawn, fetch, timers, Date.now
// or process.env (scripts/check.ts enforces it). What loads SQLite or FFI is left out, so that a command pays only
// for what it uses: import database.ts, lock.ts, directory-handle.ts, directory-tree.ts by their own names.
export * from "./atomic-write.ts";
export * from "./clock.ts";
export * from "./digest.ts";
export * from "./environment.ts";
export * from "./errno.ts";
export * from "./files.ts";
export * from "./host-paths.ts";
export * from "./kernel-value.ts";
export * from "./listening-sockets.ts";
export * from "./logger.ts";
export * from "./mountinfo.ts";
export * from "./processes.ts";
export * from "./run-sync.ts";
export * from "./random.ts";
export * from "./signals.ts";
export * from "./system.ts";
export * from "./terminal.ts";
export * from "./trusted-directory.ts";
export * from "./trusted-file.ts";
