// The outside world as the engines get it. A signature takes the slice it needs: Pick<System, "clock">.

import { systemClock, type Clock } from "./clock.ts";
import { readEnvironment, type Environment } from "./environment.ts";
import { createHostPaths, type HostPaths } from "./host-paths.ts";
import { silentLogger, type Logger } from "./logger.ts";

export interface System {
  readonly clock: Clock;
  readonly environment: Environment;
  readonly hostPaths: HostPaths;
  readonly logger: Logger;
}

/** The real world. @param root the argument of `--root` */
export function createSystem(options: { root?: string | undefined; logger?: Logger } = {}): System {
  return {
    clock: systemClock,
    environment: readEnvironment(),
    hostPaths: createHostPaths(options.root),
    logger: options.logger ?? silentLogger,
  };
}
