// Errors of the backup disk, as CitadelErrors.

import type { CitadelError } from "../../core/index.ts";
import { fromErrno } from "../../system/index.ts";
import type { CopyRefusal } from "../copy/job.ts";

/** A worker could not write. @param repositoryPath the disk it was about */
export function targetFailure(refusal: CopyRefusal, repositoryPath: string): CitadelError {
  const cause = Object.assign(new Error(refusal.message), { code: refusal.errno ?? "EIO" });
  return fromErrno(cause, "write", repositoryPath);
}
