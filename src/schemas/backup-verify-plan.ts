// `backup verify --rolling --dry-run --json`.

import { anything, count, document } from "./define.ts";

export const schema = document("backup-verify-plan", "what a rolling slice would read", {
  bytes: count,
  coverage: anything,
});
