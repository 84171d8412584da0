// What to do about a snapshot that is not valid: the one line below its failures. `backup repair` heals content by its
// hash; it can do nothing where the manifest itself is wrong, or where something lies that was never backed up.

import type { VerifyFailure, VerifyReport } from "../../backup/verify/report.ts";

/** What everything else is judged by. */
const judges = new Set<string>(["manifest.jsonl", "snapshot.json"]);

export function adviceFor({ snapshot, failures }: VerifyReport): string {
  const all = (is: (failure: VerifyFailure) => boolean) =>
    failures.length > 0 && failures.every(is);
  const some = (is: (failure: VerifyFailure) => boolean) => failures.some(is);
  if (some(({ reason }) => reason === "unknown")) {
    return "see what there is: citadel-agent backup list";
  }
  if (some(({ reason }) => reason === "partial")) {
    return "the next backup of its source goes on with it; citadel-agent backup cleanup removes it";
  }
  if (some(isShut)) return "run the command as root: what may not be read cannot be judged";
  if (some(({ path }) => judges.has(path))) {
    return "nothing can mend that: use another snapshot (citadel-agent backup list); docs/formats/snapshot.md says what can be saved by hand";
  }
  if (all(({ reason }) => reason === "extra")) {
    return "nothing that was backed up is lost: see what it is and who put it there, then remove it by hand";
  }
  return `mend it: citadel-agent backup repair ${snapshot}; or restore from another snapshot`;
}

/** Not ours to read: says nothing of the snapshot. */
function isShut({ path, reason, errno }: VerifyFailure): boolean {
  if (errno === "EACCES" || errno === "EPERM") return true;
  return reason === "unreadable" && path === "snapshot.json"; // one of `verify --all`
}
