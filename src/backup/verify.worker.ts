// A thread that checks stored files (content-check.ts): message passing only.

import { answerJobs } from "../system/worker-pool.ts";
import { checkContent, type CheckJob, type CheckResult } from "./content-check.ts";

/** The collector sizes its heap by the machine's memory, not by what a verification may take. */
const filesPerCollection = 2048;
let filesSinceCollection = 0;

answerJobs<CheckJob, CheckResult>((job) => {
  filesSinceCollection += job.files.length;
  if (filesSinceCollection >= filesPerCollection) {
    filesSinceCollection = 0;
    Bun.gc(true);
  }
  return checkContent(job);
});
