// A thread that checks stored files (content-check.ts): message passing only.

import { answerJobs } from "../system/worker-pool.ts";
import { checkContent } from "./content-check.ts";

answerJobs(checkContent);
