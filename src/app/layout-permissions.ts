// `repair --permissions --files`: the owner of files below the layout's own directories. Only asked for by name.
// Files with more than one link are left alone: another name of theirs may belong to somebody else.

import { CitadelError, isWithin, type AbsolutePath } from "../core/index.ts";
import { survey, type Question } from "../system/survey/index.ts";
import type { Operation } from "../transaction/index.ts";
import type { App } from "./app.ts";
import type { LayoutView } from "./layout.ts";

const walkDeadlineMs = 60_000;

/**
 * Plans `set_owner` for files and directories below the layout that belong to somebody else.
 * @throws kind `timeout`, code `MOUNT_NOT_ANSWERING`, where a storage root does not answer
 */
export async function planFilePermissions(
  app: App,
  view: LayoutView,
  signal: AbortSignal,
): Promise<readonly Operation[]> {
  const { ownership } = view.user;
  if (ownership === undefined || !app.system.environment.isRoot) return [];
  const { real } = app.system.hostPaths;
  const { paths } = view.options;
  const own = new Set<string>(view.desired.directories.map(({ path }) => path));
  const tops = [paths.appRoot, paths.modelsRoot, paths.backupRoot]
    .map(real)
    .filter((top, at, all) => !all.some((other, to) => to < at && isWithin(top, other)));
  const usable = tops.filter((top) => view.roots.every((r) => r.state === "ok" || r.path !== top));
  const questions: Question[] = usable.map((path) => ({ kind: "strangers", path, ...ownership }));
  const answers = await survey(questions, { signal, deadlineMs: walkDeadlineMs });
  const found = answers.flatMap((answer, at) => {
    if (answer.kind === "strangers") return answer.found;
    if (answer.kind === "absent") return [];
    throw notAnswering(
      usable[at] ?? "",
      answer.kind === "error" ? answer.text : "no answer in time",
    );
  });
  return found
    .filter(({ path }) => !own.has(path))
    .map((stranger) => setOwner(stranger, ownership));
}

function setOwner(
  { path, type, uid, gid }: { path: string; type: "file" | "directory"; uid: number; gid: number },
  ownership: { readonly uid: number; readonly gid: number },
): Operation {
  return {
    op: "set_owner",
    path: path as AbsolutePath,
    why: `owner is ${uid}:${gid}, wanted ${ownership.uid}:${ownership.gid}`,
    before: { type, uid, gid },
    after: { type, ...ownership },
  };
}

function notAnswering(path: string, reason: string): CitadelError {
  return new CitadelError({
    kind: "timeout",
    code: "TREE_NOT_READ",
    message: `the files below ${path} could not all be looked at: ${reason}`,
    path,
    hint: "see `dmesg` and `findmnt` for this mount, then run the command again",
    retry: "later",
  });
}
