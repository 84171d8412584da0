// Gathers the facts for the prerequisites of a host: mounts, rights on the three roots, the service user, tools.

import { parentOf, type AbsolutePath } from "../core/index.ts";
import { checkPrerequisites, usedTools, type PrerequisiteCheck } from "../layout/prerequisites.ts";
import { findProgram } from "../system/find-program.ts";
import { survey, type Answer, type Question } from "../system/survey/index.ts";
import type { App } from "./app.ts";
import type { LayoutView } from "./layout.ts";

/** Checks everything; a root that is missing is judged by the directory in which it would be made. */
export async function verifyPrerequisites(
  app: App,
  view: LayoutView,
  signal?: AbortSignal,
): Promise<PrerequisiteCheck[]> {
  const { hostPaths } = app.system;
  const { paths, links, requireMounts } = view.options;
  const roots = [paths.appRoot, paths.modelsRoot, paths.backupRoot].map(hostPaths.real);
  const blocked = new Set<string>(
    view.roots.filter(({ state }) => state !== "ok").map(({ path }) => path),
  );
  const asked = roots.filter((root) => !blocked.has(root));
  const hasPrograms = !hostPaths.relocated || findProgram("sh", hostPaths) !== undefined;
  return checkPrerequisites({
    roots: view.roots,
    access: await accessOf(asked, hostPaths.root, signal),
    user: view.user,
    owner: links.owner,
    group: links.group,
    // below --root the tools of that tree count; an empty directory has none and needs none
    tools: (hasPrograms ? usedTools : []).map((tool) => ({
      ...tool,
      path: findProgram(tool.name, hostPaths),
    })),
    mountsRequired: requireMounts,
  });
}

async function accessOf(
  roots: readonly AbsolutePath[],
  top: AbsolutePath,
  signal: AbortSignal | undefined,
): Promise<{ path: AbsolutePath; at: string; answer: Answer }[]> {
  const chains = roots.map((root) => ancestors(root, top));
  const questions: Question[] = chains.flat().map((path) => ({ kind: "access", path }));
  const answers = await survey(questions, { signal });
  const found = new Map(questions.map((question, at) => [question.path, answers[at]]));
  return chains.map((chain, at) => {
    const nearest = chain.find((path) => found.get(path)?.kind !== "absent") ?? top;
    const answer: Answer = found.get(nearest) ?? { kind: "absent" };
    return { path: roots[at] ?? top, at: nearest, answer };
  });
}

function ancestors(path: AbsolutePath, top: AbsolutePath): AbsolutePath[] {
  const chain = [path];
  for (let at = path; at !== top && at !== "/";) {
    at = parentOf(at);
    chain.push(at);
  }
  return chain;
}
