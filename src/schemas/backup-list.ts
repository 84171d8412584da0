// `backup list`.

import { count, document, list, nullable, object, oneOf, text, time } from "./define.ts";

export const schema = document("backup-list", "the snapshots of the repository, oldest first", {
  snapshots: list(
    object({
      id: text,
      source: nullable(text),
      area: oneOf("models", "configs", "system"),
      type: oneOf("full", "incremental"),
      tags: list(text),
      state: oneOf("complete", "partial", "damaged", "unknown"),
      started: time,
      finished: nullable(time),
      files: nullable(count),
      bytes: nullable(count),
      new_bytes: nullable(count),
      skipped: nullable(count),
      parent: nullable(text),
      verified_at: nullable(time),
      verified_mode: nullable(oneOf("quick", "full")),
      path: text,
      why: nullable(text),
    }),
  ),
  catalogue: text,
});
