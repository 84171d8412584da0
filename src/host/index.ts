// The host's storage: devices, fstab, schedulers, trim, and the ten checks.
export * from "./block-devices.ts";
export * from "./describe.ts";
export * from "./disk.ts";
export * from "./discover.ts";
export * from "./fstab.ts";
export * from "./mount-options.ts";
export * from "./plan-part.ts";
export * from "./plan-tune.ts";
export * from "./scheduler.ts";
export * from "./trim.ts";
export * from "./udev.ts";
