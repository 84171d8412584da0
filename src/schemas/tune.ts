// Parts that the documents about tuning share.

import { bool, count, list, nullable, object, oneOf, text } from "./define.ts";

export const tuneItems = list(
  object({
    role: oneOf("models", "backup", "host"),
    item: oneOf("fstab", "mount options", "data mode", "scheduler", "udev rule", "trim timer"),
    subject: text,
    found: text,
    wanted: text,
    state: oneOf("ok", "change", "pending", "on_the_host", "cannot", "not_applicable"),
    why: text,
  }),
);

const storages = list(
  object({
    role: text,
    path: text,
    mountpoint: nullable(text),
    mounted: bool,
    source: nullable(text),
    fstype: nullable(text),
    uuid: nullable(text),
    options: nullable(text),
    devices: list(object({ name: text, kind: text })),
    disks: list(
      object({
        path: text,
        model: nullable(text),
        serial: nullable(text),
        transport: text,
        rotational: nullable(bool),
        scheduler: nullable(text),
        schedulers: list(text),
        read_ahead_bytes: nullable(count),
        discard: nullable(bool),
        bytes: nullable(count),
      }),
    ),
    reason: nullable(text),
  }),
);

const itemNames = list(object({ item: text, subject: text, why: text }));

export const tuneMembers = {
  profile: oneOf("safe", "planb-02"),
  storages,
  items: tuneItems,
  risks: list(text),
  proposals: list(text),
  notes: list(text),
  pending: itemNames,
  could_not: itemNames,
  held: itemNames,
};

export const stepMembers = {
  steps: list(
    object({
      op: text,
      path: text,
      from: nullable(text),
      to: nullable(text),
      why: text,
      "done?": bool,
    }),
  ),
  conflicts: list(object({ path: text, code: text, message: text, hint: text })),
  on_the_host: list(text),
  unchanged: count,
  plan_hash: text,
  "transaction?": nullable(count),
  "generation?": nullable(count),
};
