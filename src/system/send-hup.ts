// `citadel-agent __child hup PID`: what ExecReload= of our unit runs. /bin/kill is not on every host.

import { sendSignal } from "./process-state.ts";

export function run(args: readonly string[]): Promise<number> {
  const pid = Number(args[0]);
  if (!Number.isInteger(pid) || pid <= 1) return Promise.resolve(2);
  sendSignal(pid, "SIGHUP");
  return Promise.resolve(0);
}
