// The StepContext of one transaction: handles, temporary names, contents, commands.

import { runProcessSync, sha256Hex, temporaryPrefix } from "../system/index.ts";
import { throwIfAborted } from "./apply.ts";
import type { Session } from "./session.ts";
import type { StepContext } from "./step.ts";

/** @param token the transaction's secret: the names of its temporaries follow from it, for us alone */
export function createStepContext(
  session: Pick<Session, "tree" | "content" | "options">,
  token: string,
  request: Pick<StepContext, "onProgress" | "signal">,
): StepContext {
  return {
    tree: session.tree,
    temporary: (seq, purpose) =>
      `${temporaryPrefix}${sha256Hex(`${token}:${seq}:${purpose}`).slice(0, 24)}.tmp`,
    content: (sha256) => session.content(sha256),
    run: runProcessSync,
    onProgress: request.onProgress,
    signal: request.signal,
    pause: async () => {
      await session.options.clock.sleep(0);
      throwIfAborted(request.signal);
    },
  };
}
