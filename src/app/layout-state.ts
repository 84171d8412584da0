// The journal as commands that only look read it: no lock, no recovery, and no engine to load.

import { openJournalView, type JournalView } from "../transaction/journal-view.ts";
import type { App } from "./app.ts";
import { statePlaces } from "./state-places.ts";

/** Opens the journal for reading; what cannot be read is told by its `problem`, never thrown. */
export function openLayoutState(app: App): JournalView & Disposable {
  return openJournalView(statePlaces(app.system, app.settings.agent.state_dir));
}
