// A thread that checks stored files (verify/content-check.ts): message passing only.

import { collectGrownMemory } from "../../system/memory.ts";
import { answerJobs } from "../../system/worker-pool.ts";
import { checkContent, type CheckJob, type CheckResult } from "./content-check.ts";

const jobsPerLook = 8;
let jobs = 0;

answerJobs<CheckJob, CheckResult>((job) => {
  if ((jobs += 1) % jobsPerLook === 0) collectGrownMemory();
  return checkContent(job);
});
