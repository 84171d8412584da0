// Mount options as lists: which ones a role wants, and how they join what a file or a mount has already. Pure.

export type TuneProfile = "safe" | "planb-02";
export type StorageRole = "models" | "backup";

/** The options a role wants in fstab, and what was left out of them, with the reason. */
export interface WantedOptions {
  readonly options: readonly string[];
  readonly notes: readonly string[];
}

// Kinds without a disk of their own, or with options of their own: nothing of the table applies to them.
const foreignTypes =
  /^(?:nfs4?|cifs|smb3?|9p|ceph|glusterfs|lustre|gpfs|beegfs|fuse(?:\..*)?|fuseblk|tmpfs|ramfs|overlay|aufs|autofs|zfs|swap|proc|sysfs|squashfs|iso9660)$/;

/** Whether the table of options says anything about this type of file system. */
export function isTunableType(fstype: string): boolean {
  return !foreignTypes.test(fstype);
}

/**
 * The options of the table in spec/tune.md for one mount.
 * @param hasJournal undefined: could not be read
 * @param mayAssumeJournal below `--root`, where the file system itself cannot be asked
 * @see ext4(5): `data=` on a file system without journal makes the mount fail, at boot too
 */
export function wantedOptions(
  role: StorageRole,
  profile: TuneProfile,
  fstype: string,
  journal: { readonly hasJournal: boolean | undefined; readonly mayAssumeJournal: boolean },
): WantedOptions {
  if (!isTunableType(fstype)) {
    return { options: [], notes: [`${fstype} takes none of these options; they are left alone`] };
  }
  const options = role === "models" ? ["noatime", "nodiratime"] : ["noatime"];
  if (fstype !== "ext4") return { options, notes: notesFor(role, profile, fstype) };
  if (profile === "planb-02") options.push(role === "models" ? "barrier=0" : "barrier=1");
  const data = role === "models" ? "data=writeback" : "data=ordered";
  if (journal.hasJournal === false) {
    return {
      options,
      notes: [`${data} is left out: this ext4 has no journal, the mount would fail`],
    };
  }
  if (journal.hasJournal === undefined && !journal.mayAssumeJournal) {
    const why = "whether this ext4 has a journal could not be read (it is not mounted)";
    return { options, notes: [`${data} is left out: ${why}`] };
  }
  const unknown = journal.hasJournal === undefined;
  const note = `whether this ext4 has a journal cannot be read here; ${data} needs one`;
  return { options: [...options, data], notes: unknown ? [note] : [] };
}

function notesFor(role: StorageRole, profile: TuneProfile, fstype: string): string[] {
  const data = role === "models" ? "data=writeback" : "data=ordered";
  if (fstype === "none" || fstype === "auto") {
    return [`${data} is left out: the entry's type is ${fstype}, not ext4`];
  }
  const barrier = role === "models" ? "barrier=0" : "barrier=1";
  const options = profile === "planb-02" ? `${barrier} and ${data} are` : `${data} is`;
  return [`${options} left out: ext4 only, ${fstype} refuses to mount with it`];
}

/** Splits an option field at its commas; a quoted value (`context="a,b"`) stays whole. */
export function splitOptions(text: string): string[] {
  return (text.match(/(?:[^,"]|"[^"]*")+/g) ?? []).filter((option) => option !== "");
}

// Options of one group contradict each other: the last one written would win (mount(8)).
const groups: readonly RegExp[] = [
  /^(?:no|rel|norel|strict|nostrict)?atime$/,
  /^(?:no)?diratime$/,
  /^data=/,
  /^(?:no)?barrier(?:=.*)?$/,
];

/** Two spellings of one thing: `barrier` is `barrier=1`, `nobarrier` is `barrier=0` (ext4(5)). */
function canonical(option: string): string {
  if (option === "nobarrier") return "barrier=0";
  return option === "barrier" ? "barrier=1" : option;
}

export interface MergedOptions {
  readonly text: string;
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/**
 * Joins wanted options to existing ones: what is there stays, in its place, unless a wanted option contradicts it.
 * `defaults` is written only where there was no option at all: behind others it would undo them.
 */
export function mergeOptions(
  existing: string | undefined,
  wanted: readonly string[],
): MergedOptions {
  let list = existing === undefined ? [] : splitOptions(existing);
  if (list.length === 0) list = ["defaults"];
  const added: string[] = [];
  const removed: string[] = [];
  for (const option of wanted) {
    if (effectiveOption(list, option) === canonical(option)) continue;
    const group = groups.find((candidate) => candidate.test(option));
    const contradicts = (other: string) => group?.test(other) === true;
    removed.push(...list.filter(contradicts));
    const at = list.findIndex(contradicts);
    const rest = list.filter((other) => !contradicts(other));
    const place = at === -1 ? rest.length : at - list.slice(0, at).filter(contradicts).length;
    list = [...rest.slice(0, place), option, ...rest.slice(place)];
    added.push(option);
  }
  if (added.length === 0 && existing !== undefined && existing !== "") {
    return { text: existing, added, removed };
  }
  return { text: list.join(","), added, removed };
}

/** What a list says about the thing that `option` is about; the last word wins. undefined: it says nothing. */
export function effectiveOption(list: readonly string[], option: string): string | undefined {
  const group = groups.find((candidate) => candidate.test(option));
  const last = list.filter((other) => other === option || group?.test(other) === true).at(-1);
  return last === undefined ? undefined : canonical(last);
}

/** What a mount shows, as far as the options of the table go. */
export interface LiveOptions {
  /** Flags of the mount and options of the file system, from mountinfo. */
  readonly shown: readonly string[];
  /** Lines of /proc/fs/ext4/<device>/options, which also shows what equals a default; undefined if not readable. */
  readonly ext4: readonly string[] | undefined;
}

/**
 * Which wanted options a mount lacks.
 * `data=` equal to the superblock's default is hidden in the mount table, and so is `barrier`, which is the default.
 */
export function missingOptions(live: LiveOptions, wanted: readonly string[]): string[] {
  return wanted.filter((option) => {
    const ext4 = live.ext4 === undefined ? undefined : effectiveOption(live.ext4, option);
    const found = effectiveOption(live.shown, option) ?? ext4;
    if (found === canonical(option)) return false;
    return !(option === "barrier=1" && found === undefined);
  });
}
