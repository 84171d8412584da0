// The rules that ship. A rule of its own file group; the order is the order of `alerts list`.

import type { AnyRule } from "../rule.ts";
import { backupRule, linkRule, modelRule } from "./content.ts";
import { awaitRule, kernelRule, smartRule, vanishedRule } from "./disks.ts";
import { agentRule, gpuRule, gpuVanishedRule, hostRule, serviceRule, xidRule } from "./host.ts";
import {
  diskUsageRule,
  fullSoonRule,
  inodeUsageRule,
  latencyRule,
  missingRule,
  mountRule,
  notAnsweringRule,
} from "./space.ts";

export const shippedRules: readonly AnyRule[] = [
  mountRule,
  missingRule,
  notAnsweringRule,
  diskUsageRule,
  inodeUsageRule,
  fullSoonRule,
  latencyRule,
  awaitRule,
  kernelRule,
  smartRule,
  vanishedRule,
  linkRule,
  modelRule,
  backupRule,
  serviceRule,
  gpuRule,
  gpuVanishedRule,
  xidRule,
  hostRule,
  agentRule,
];

export { levelOf } from "./space.ts";
