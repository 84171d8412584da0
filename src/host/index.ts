// The host's storage: devices, fstab, schedulers, trim, and the ten checks.
export * from "./block-devices.ts";
export * from "./disk.ts";
