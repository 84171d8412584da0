// `backup verify`. With --all: `valid` and one report per snapshot in `snapshots`.

import {
  anything,
  bool,
  count,
  document,
  list,
  nullable,
  object,
  oneOf,
  ratio,
  seconds,
  text,
} from "./define.ts";

const failure = object({
  path: text,
  "path_b64?": text,
  area: oneOf("data", "packed", "snapshot"),
  reason: text,
  ranges: list(list(count)),
  "errno?": text,
});

const members = {
  "snapshot?": text,
  "mode?": oneOf("quick", "full"),
  "cached?": bool,
  "sample_rate?": ratio,
  "seed?": nullable(count),
  "files_total?": count,
  "files_checked?": count,
  "files_failed?": count,
  "bytes_checked?": count,
  "bytes_read?": count,
  "duration_s?": seconds,
  "whole?": bool,
  "failures?": list(failure),
  "remarks?": list(text),
} as const;

export const schema = document("backup-verify", "what a verification found", {
  valid: bool,
  ...members,
  "coverage?": anything,
  "snapshots?": list(object({ valid: bool, ...members })),
});
