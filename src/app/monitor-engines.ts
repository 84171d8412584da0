// What the monitor asks of the other engines, and which storage roots there are. One place, so that a new engine is
// one line here.

import { verifyLinks } from "../layout/index.ts";
import type { LinksData, StorageRoot } from "../monitor/data.ts";
import type { App } from "./app.ts";
import { openLayoutEngine } from "./layout-engine.ts";
import { toLayoutOptions, viewLayout } from "./layout.ts";
import type { MonitorEngines } from "./monitor.ts";

/** The three roots, with what set-up recorded of them. */
export function storageRoots(app: App): StorageRoot[] {
  const { paths } = app.settings;
  const { hostPaths } = app.system;
  const requireMount = toLayoutOptions(app).requireMounts;
  const recorded = recordedRoots(app);
  const root = (role: StorageRoot["role"], path: string, mustMount: boolean): StorageRoot => {
    const before = recorded.find((each) => each.path === path);
    return {
      role,
      path: hostPaths.real(path),
      requireMount: mustMount,
      ...(before === undefined
        ? {}
        : { expected: { uuid: before.uuid ?? undefined, fstype: before.fstype ?? undefined } }),
    };
  };
  return [
    root("application", paths.app_root, false),
    root("models", paths.models_root, requireMount),
    root("backup", paths.backup_root, requireMount),
  ];
}

interface Recorded {
  readonly path: string;
  readonly uuid: string | null;
  readonly fstype: string | null;
}

/** What the last generation says of the roots; nothing where there is none or it cannot be read. */
function recordedRoots(app: App): readonly Recorded[] {
  try {
    using engine = openLayoutEngine(app);
    const layout = engine.state.latestAnnotations()["layout"] as
      { readonly roots?: readonly Recorded[] } | undefined;
    return layout?.roots ?? [];
  } catch {
    return []; // without the journal there is nothing to compare with; `doctor` tells about the journal
  }
}

/** The looks at the other engines that this build has. */
export function monitorEngines(app: App): MonitorEngines {
  return { links: (signal) => lookAtLinks(app, signal) };
}

async function lookAtLinks(app: App, signal: AbortSignal): Promise<LinksData> {
  using engine = openLayoutEngine(app);
  const view = await viewLayout(app, engine.state, {
    scope: { directories: false, links: true, files: false },
    signal,
  });
  const { total, healthy, issues } = verifyLinks(
    view.desired,
    view.actual,
    view.history,
    view.ownersMatter,
  );
  return { total, healthy, issues };
}
