// Plans the edit of fstab: the option fields of the two storage mounts, or new entries for mounts it does not know.

import { CitadelError, type AbsolutePath } from "../core/index.ts";
import type { Conflict, Operation } from "../transaction/index.ts";
import { sha256 } from "./digest.ts";
import type { FstabFacts, HostFacts, StorageFacts } from "./discover.ts";
import { addEntries, findEntry, parseFstab, replaceOptions } from "./fstab.ts";
import type { FstabEntry, NewEntry } from "./fstab.ts";
import { isTunableType, mergeOptions, splitOptions, wantedOptions } from "./mount-options.ts";
import type { TuneProfile } from "./mount-options.ts";
import { emptyPart, joinParts, type PlanPart, type TuneItem } from "./plan-part.ts";

export interface FstabPlan extends PlanPart {
  /** The option field each mount point will have; also where it is unchanged. */
  readonly optionsByMountpoint: ReadonlyMap<string, string>;
}

/** What one storage wants of the file. */
interface Demand {
  readonly part: PlanPart;
  readonly edit?: readonly [FstabEntry, string];
  readonly entry?: NewEntry;
  readonly options?: string;
}

/** @param real turns a host path into a real one */
export function planFstab(
  facts: HostFacts,
  profile: TuneProfile,
  real: (hostPath: string) => AbsolutePath,
): FstabPlan {
  const optionsByMountpoint = new Map<string, string>();
  const { fstab } = facts;
  if (fstab === undefined) {
    const items = facts.storages.map((storage) =>
      row(storage, "no /etc/fstab", "-", "cannot", "there is no fstab that is a plain file"),
    );
    return { ...emptyPart, items, optionsByMountpoint };
  }
  try {
    const parsed = parseFstab(fstab.bytes);
    const demands = storagesByMountpoint(facts).map((storage) =>
      demandOf(facts, storage, profile, findEntryOf(parsed, storage)),
    );
    for (const [at, storage] of storagesByMountpoint(facts).entries()) {
      const options = demands[at]?.options;
      if (storage.mountpoint !== undefined && options !== undefined)
        optionsByMountpoint.set(storage.mountpoint, options);
    }
    const edits = new Map(demands.flatMap((demand) => (demand.edit ? [demand.edit] : [])));
    const entries = demands.flatMap((demand) => demand.entry ?? []);
    const content = addEntries(replaceOptions(parsed, edits), entries);
    const write = writePart(facts, fstab, content, real);
    return { ...joinParts([...demands.map(({ part }) => part), write]), optionsByMountpoint };
  } catch (thrown) {
    if (!(thrown instanceof CitadelError) || thrown.kind !== "conflict") throw thrown;
    return { ...emptyPart, conflicts: [toConflict(thrown, real)], optionsByMountpoint };
  }
}

/** Both roles may lie on one file system: then the models' options count, for they are read most. */
function storagesByMountpoint(facts: HostFacts): StorageFacts[] {
  const seen = new Set<string>();
  return facts.storages.filter((storage) => {
    if (storage.mountpoint === undefined) return true;
    const isNew = !seen.has(storage.mountpoint);
    seen.add(storage.mountpoint);
    return isNew;
  });
}

const findEntryOf = (parsed: ReturnType<typeof parseFstab>, storage: StorageFacts) =>
  storage.mountpoint === undefined ? undefined : findEntry(parsed, storage.mountpoint);

function demandOf(
  facts: HostFacts,
  storage: StorageFacts,
  profile: TuneProfile,
  entry: FstabEntry | undefined,
): Demand {
  if (storage.mountpoint === undefined) {
    const why =
      storage.linked ?? `${storage.path} is on no mount of its own, and fstab has no entry for it`;
    return { part: { ...emptyPart, items: [row(storage, "no entry", "-", "cannot", why)] } };
  }
  const fstype = typeOf(storage, entry);
  const hasJournal = storage.ext4?.hasJournal;
  const mayAssumeJournal = facts.relocated;
  const wanted = wantedOptions(storage.role, profile, fstype, { hasJournal, mayAssumeJournal });
  const { notes } = wanted;
  if (wanted.options.length === 0) {
    const found = entry?.options ?? "no entry";
    const item = row(storage, found, "-", "not_applicable", notes[0] ?? "");
    return {
      part: { ...emptyPart, items: [item] },
      ...(entry?.options ? { options: entry.options } : {}),
    };
  }
  if (entry === undefined) return newEntryFor(facts, storage, fstype, wanted.options, notes);
  const merged = mergeOptions(entry.options, wanted.options);
  const found = entry.options ?? "(none)";
  const proposals = proposalsFor(storage, entry);
  if (merged.added.length === 0) {
    const part = {
      ...emptyPart,
      notes,
      proposals,
      items: [row(storage, found, found, "ok", fstype)],
    };
    return { part, options: found };
  }
  const removed = merged.removed.filter((option) => !merged.added.includes(option));
  const instead = removed.length === 0 ? "" : ` instead of ${removed.join(", ")}`;
  const why = `${fstype}, line ${entry.lineNumber}: ${merged.added.join(", ")}${instead}`;
  const item = row(storage, found, merged.text, "change", why);
  const part = { ...emptyPart, notes, proposals, items: [item] };
  return { part, edit: [entry, merged.text], options: merged.text };
}

/** The entry's type decides; `auto` and a missing entry take what is mounted. */
function typeOf(storage: StorageFacts, entry: FstabEntry | undefined): string {
  const mounted = storage.mount?.fstype;
  if (entry === undefined) return mounted ?? "auto";
  return entry.fstype === "auto" ? (mounted ?? "auto") : entry.fstype;
}

function newEntryFor(
  facts: HostFacts,
  storage: StorageFacts,
  fstype: string,
  wanted: readonly string[],
  notes: readonly string[],
): Demand {
  const cannot = (why: string): Demand => ({
    part: { ...emptyPart, notes, items: [row(storage, "no entry", "-", "cannot", why)] },
  });
  const { mount, mountpoint } = storage;
  if (facts.container !== undefined) {
    return cannot(`a container (${facts.container}): its mounts are made outside of it`);
  }
  if (mount === undefined || mountpoint === undefined)
    return cannot("not mounted and not in fstab");
  if (storage.unitPath !== undefined) {
    return cannot(`mounted by ${storage.unitPath}: change Options= there`);
  }
  if (!isTunableType(fstype)) return cannot(`${fstype} is not added`);
  const subvolume = mount.superOptions.find((option) => option.startsWith("subvol="));
  if (mount.fsRoot !== "/" && subvolume === undefined) {
    return cannot(`a bind mount of ${mount.fsRoot}: its entry has to be written by hand`);
  }
  if (storage.uuid === undefined) return cannot("the UUID of the file system could not be read");
  const extra = subvolume === undefined || subvolume === "subvol=/" ? [] : [subvolume];
  const options = mergeOptions(undefined, [...extra, ...wanted]).text;
  const entry: NewEntry = {
    source: `UUID=${storage.uuid}`,
    mountpoint,
    fstype,
    options,
    pass: fstype === "ext4" || fstype === "ext3" ? 2 : 0,
  };
  const why = `mounted (${fstype}), but the next boot would not mount it: added in a marked block`;
  const proposals = [nofailProposal(mountpoint)];
  const items = [row(storage, "no entry", options, "change", why)];
  return { part: { ...emptyPart, notes, proposals, items }, entry, options };
}

const nofailProposal = (mountpoint: string) =>
  `nofail for ${mountpoint}: without it a missing or damaged disk ends the boot in emergency mode`;

function proposalsFor(storage: StorageFacts, entry: FstabEntry): string[] {
  const options = splitOptions(entry.options ?? "");
  const needed = !options.includes("nofail") && !options.includes("noauto");
  return needed && storage.mountpoint !== undefined ? [nofailProposal(storage.mountpoint)] : [];
}

function writePart(
  facts: HostFacts,
  fstab: FstabFacts,
  content: Uint8Array,
  real: (hostPath: string) => AbsolutePath,
): PlanPart {
  if (Buffer.compare(content, fstab.bytes) === 0) return emptyPart;
  if (!facts.relocated && fstab.verification === undefined) {
    const conflict: Conflict = {
      path: real("/etc/fstab"),
      code: "FSTAB_NOT_VERIFIABLE",
      message: "findmnt is not installed, so a changed fstab could not be verified",
      hint: "install util-linux (findmnt), then run the command again",
    };
    return { ...emptyPart, conflicts: [conflict] };
  }
  const { mode, uid, gid } = fstab.stat;
  const text = Buffer.from(content).toString("utf8");
  const isUtf8 = Buffer.compare(Buffer.from(text), content) === 0;
  const operation: Operation = {
    op: "write_file",
    path: real("/etc/fstab"),
    why: "mount options of the storage mounts",
    before: { type: "file", sha256: sha256(fstab.bytes), mode, uid, gid },
    after: { type: "file", sha256: sha256(content), mode, uid, gid },
    content: isUtf8 ? text : Buffer.from(content).toString("base64"),
    contentEncoding: isUtf8 ? "utf8" : "base64",
    backupName: backupNameOf(fstab.stat.mtimeMs),
    verifyCommand: facts.relocated ? undefined : verifyCommandFor(fstab),
  };
  const onTheHost = facts.relocated ? ["findmnt --verify", "systemctl daemon-reload"] : [];
  return { ...emptyPart, operations: [operation], onTheHost };
}

/** Dated by the file that is copied, so that the same file always has the same copy and a plan the same hash. */
function backupNameOf(mtimeMs: number): string {
  const stamp = new Date(mtimeMs).toISOString().replace(/[-:]|\.\d+/g, "");
  return `fstab.citadel-${stamp}`;
}

// $1 the new file, $2 the summary line of the present one: an error that was there before (the disk of somebody
// else's line is unplugged) must not stop us, a new one must.
const sameSummary =
  'findmnt --verify --tab-file "$1" 2>&1 | grep -E "errors?,|^Success" | tail -n 1 | grep -qxF -- "$2"';

function verifyCommandFor(fstab: FstabFacts): readonly string[] {
  const { clean, summary } = fstab.verification ?? { clean: true, summary: "" };
  return clean
    ? ["findmnt", "--verify", "--tab-file", "{}"]
    : ["sh", "-c", sameSummary, "sh", "{}", summary];
}

function toConflict(error: CitadelError, real: (hostPath: string) => AbsolutePath): Conflict {
  const { code, message, hint } = error;
  return { path: real("/etc/fstab"), code, message, hint: hint ?? "mend the file by hand" };
}

function row(
  storage: StorageFacts,
  found: string,
  wanted: string,
  state: TuneItem["state"],
  why: string,
): TuneItem {
  const subject = storage.mountpoint ?? storage.path;
  return { role: storage.role, item: "fstab", subject, found, wanted, state, why };
}
