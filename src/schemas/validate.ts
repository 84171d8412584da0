// `validate`.

import { bool, count, document, list, nullable, object, oneOf, ratio, text } from "./define.ts";

export const schema = document("validate", "the ten checks of the storage set-up", {
  checks: list(
    object({
      id: oneOf(
        "tools",
        "mounts",
        "mount_options",
        "directories",
        "model_directories",
        "symlinks",
        "management",
        "schedulers",
        "trim",
        "backup_schedule",
      ),
      name: text,
      ok: bool,
      found: text,
      wanted: text,
      fix: nullable(text),
    }),
  ),
  passed: count,
  total: count,
  score: ratio,
});
