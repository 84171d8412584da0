// A thread that fills and hashes files for a restore (restore/job.ts): message passing only.

import { collectGrownMemory } from "../../system/memory.ts";
import { answerJobs } from "../../system/worker-pool.ts";
import { RestoreMemory } from "./content.ts";
import { doRestoreJob, type RestoreAnswer, type RestoreJob } from "./job.ts";

const jobsPerLook = 8;
let jobs = 0;
let memory: RestoreMemory | undefined;

answerJobs<RestoreJob, RestoreAnswer>((job) => {
  if ((jobs += 1) % jobsPerLook === 0) collectGrownMemory();
  return doRestoreJob(job, (memory ??= new RestoreMemory()));
});
