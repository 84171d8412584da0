// Which words may be tags: each becomes a directory beside the snapshots.

import { CitadelError } from "../../core/index.ts";

/** One word: a part of a path, not hidden, without what lists of tags are split by. */
const pattern = /^[^./,\p{Cc}\s][^/,\p{Cc}\s]{0,63}$/u;

/** @throws kind `usage`, code VALUE_INVALID for a tag that is no plain name, or `latest`, which the agent keeps itself */
export function assertTags(tags: readonly string[]): void {
  const wrong = tags.find((tag) => !pattern.test(tag) || tag === "latest");
  if (wrong === undefined) return;
  throw new CitadelError({
    kind: "usage",
    code: "VALUE_INVALID",
    message: `${JSON.stringify(wrong.slice(0, 80))} cannot be a tag`,
    hint: "use one word such as daily, weekly, monthly, before-upgrade: up to 64 characters, no blank, no / and no comma, not `latest`",
  });
}
