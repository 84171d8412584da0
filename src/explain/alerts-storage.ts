// Alerts about storage roots, disks, links, models and backups.

import type { Explanations } from "./define.ts";

export const explanations: Explanations = {
  DISK_USAGE: {
    meaning:
      "A storage root is nearly full: used / (used + available) reached STORAGE_MONITOR_DISK_USAGE_WARNING or _CRITICAL. Reserved blocks do not count as available, as in `df`.",
    causes: [
      "models, downloads or caches that nobody uses any more",
      "backups beyond their retention",
      "deleted files that a process still holds open (`lsof +L1`)",
    ],
    remedy: [
      "`citadel-agent health --trend` shows how fast it grows",
      "`citadel-agent models gc` and `citadel-agent backup cleanup` show what may go",
      "the alert ends 2 percentage points below its threshold",
    ],
  },
  INODE_USAGE: {
    meaning: "A storage root has nearly no inodes left: no new file can be made when they run out.",
    causes: ["very many small files, mostly in a cache"],
    remedy: ["find them: `du --inodes -d 2 PATH | sort -n`", "remove or pack what is not needed"],
  },
  DISK_FULL_SOON: {
    meaning: "At its present growth the storage root is full within 24 hours.",
    causes: ["a download or a copy larger than the disk", "a log or a cache without a limit"],
    remedy: [
      "`citadel-agent health --trend` shows the growth and the interval of the estimate",
      "stop what writes, or free space",
    ],
  },
  STORAGE_NOT_ANSWERING: {
    meaning: "A call to the storage root did not return: it hangs in the kernel.",
    causes: ["a disk that died", "a network mount whose server is gone"],
    remedy: [
      "`dmesg` names the disk or the server",
      "do not open anything below it: that hangs too",
      "`umount -l PATH` takes it away; mount it again when the cause is mended",
    ],
  },
  STORAGE_MISSING: {
    meaning: "There is no such directory as a storage root of the settings.",
    causes: ["the host was not set up yet", "the settings name another path than the host has"],
    remedy: [
      "`citadel-agent config show --origin` shows where the path comes from",
      "`citadel-agent setup` makes it",
    ],
  },
  MOUNT_MISSING: {
    meaning:
      "A storage root is not mounted: its path is an empty directory of the system disk. Nothing is written or repaired there.",
    causes: [
      "the disk vanished; systemd unmounts it then and does not mount it again by itself when it is back",
      "an error in /etc/fstab",
    ],
    remedy: [
      "`lsblk` and `dmesg` show whether the disk is there",
      "`mount PATH`, then `citadel-agent repair`",
    ],
  },
  WRONG_DISK: {
    meaning: "Another file system is mounted at a storage root than at set-up.",
    causes: ["disks changed their names and /etc/fstab mounts by name", "the disk was replaced"],
    remedy: [
      "mount the right one; let fstab name it by UUID",
      "if the new disk is meant: `citadel-agent setup --accept-disk`",
    ],
  },
  STORAGE_READ_ONLY: {
    meaning:
      "The file system of a storage root is read-only by its superblock: nothing can be written.",
    causes: [
      "the kernel turned it read-only after an error (`errors=remount-ro`)",
      "it was mounted so",
    ],
    remedy: [
      "`dmesg` shows the error",
      "check the file system (`fsck`, `xfs_repair`) while it is unmounted",
      "`mount -o remount,rw PATH`",
    ],
  },
  MOUNT_OPTIONS: {
    meaning: "A storage root lacks mount options that tuning set.",
    causes: ["it was mounted by hand", "/etc/fstab was changed"],
    remedy: ["`citadel-agent tune status` shows what was set", "`citadel-agent tune apply`"],
  },
  IO_LATENCY: {
    meaning:
      "A 4 KiB write with fsync, or a 4 KiB direct read, takes longer than STORAGE_MONITOR_IO_LATENCY_THRESHOLD (95th percentile of the last hour).",
    causes: ["another process uses the disk up", "a disk that fails or is hot", "a network mount"],
    remedy: ["`citadel-agent perf PATH --analyze`", "`iotop`", "`citadel-agent health` for SMART"],
  },
  DEVICE_LATENCY: {
    meaning:
      "Requests to a disk take longer on average than STORAGE_MONITOR_IO_LATENCY_THRESHOLD, queue included.",
    causes: ["more is asked than the disk can do", "a disk that retries bad sectors"],
    remedy: ["`iotop` shows who asks", "`smartctl -a` shows whether it retries"],
  },
  THROUGHPUT_LOW: {
    meaning:
      "A disk is busy all the time with large requests and still moves less than STORAGE_MONITOR_THROUGHPUT_THRESHOLD.",
    causes: ["heat or wear", "a bus with too few lanes", "a disk that retries bad sectors"],
    remedy: ["`citadel-agent perf PATH --analyze` when nothing else runs", "`smartctl -a`"],
  },
  DISK_IO_ERRORS: {
    meaning:
      "The kernel reported errors of a disk behind a storage root. The alert stays for an hour after the last one.",
    causes: [
      "bad sectors",
      "a cable, a controller or a power supply",
      "a file system that is damaged",
    ],
    remedy: [
      "`dmesg` and `smartctl -a`",
      "back up what lies on it before anything else",
      "replace the cable or the disk",
    ],
  },
  SMART_FAILING: {
    meaning: "A disk says that it fails, or one of its vital values is below its threshold.",
    causes: ["wear", "a defect"],
    remedy: ["back up what lies on it now", "replace it"],
  },
  SMART_WEAR: {
    meaning: "A flash disk has used 80 % (critical: 95 %) of its rated endurance.",
    causes: ["it was written much"],
    remedy: ["plan its replacement; it may turn read-only at the end"],
  },
  SMART_TEMPERATURE: {
    meaning:
      "A disk is at its temperature limit: its own, or 60 °C (NVMe: 75 °C) where it names none.",
    causes: ["fans or air flow", "heavy load"],
    remedy: ["look at the fans and the room", "NVMe disks slow themselves down when they are hot"],
  },
  SMART_MEDIA_ERRORS: {
    meaning:
      "A disk counts media errors, reallocated or pending sectors, failed self-tests or entries in its error log. The count never falls.",
    causes: ["single bad places, which are common", "a disk that begins to fail, when it grows"],
    remedy: [
      "`citadel-agent alerts ack ID` accepts the present count: it alerts again only when it grows",
      "replace the disk when it grows",
    ],
  },
  SMART_CABLE: {
    meaning: "A disk counts 100 or more transfer errors on its cable. The count never falls.",
    causes: ["a cable or a backplane"],
    remedy: [
      "reseat or replace the cable",
      "`citadel-agent alerts ack ID` accepts the present count",
    ],
  },
  DISK_VANISHED: {
    meaning: "A disk that lay behind a storage root is gone.",
    causes: ["it died or lost its connection", "it was taken out"],
    remedy: [
      "`dmesg`, the slot, the cable",
      "when it was taken out on purpose: `citadel-agent alerts ack ID` forgets it",
    ],
  },
  LINK_BROKEN: {
    meaning: "A link is missing, broken, loops, or leads elsewhere than it should.",
    causes: ["somebody changed it", "its target is gone"],
    remedy: ["`citadel-agent links verify` shows all", "`citadel-agent repair` mends them"],
  },
  LINK_FOREIGN: {
    meaning: "At the place of a link stands a link of someone else. The agent leaves it alone.",
    causes: ["an earlier set-up by hand"],
    remedy: ["remove it, or take it over with `citadel-agent links create --force`"],
  },
  MODEL_DAMAGED: {
    meaning:
      "A model directory is not whole: files of its index are missing or have the wrong size.",
    causes: ["a download that was cut off", "files that were deleted", "a disk that fails"],
    remedy: ["`citadel-agent models verify KEY`", "`citadel-agent backup restore` brings it back"],
  },
  BACKUP_TOO_OLD: {
    meaning:
      "The newest complete backup is older than one and a half periods of the schedule (critical: three).",
    causes: ["the timer does not run", "backups fail", "the backup disk is full or not mounted"],
    remedy: ["`citadel-agent backup status`", "`citadel-agent backup create`"],
  },
  BACKUP_DAMAGED: {
    meaning: "A snapshot did not pass its verification.",
    causes: ["a disk that fails", "files that were changed by hand"],
    remedy: [
      "`citadel-agent backup verify ID`",
      "`citadel-agent backup repair ID`",
      "make a new backup",
    ],
  },
  BACKUP_SHRUNK: {
    meaning: "The newest snapshot holds far less than the one before it.",
    causes: ["models were removed", "the source was not mounted or partly gone when it was made"],
    remedy: [
      "`citadel-agent backup diff` shows what is gone",
      "keep the older one until you know why",
    ],
  },
  BACKUP_VERIFY_OVERDUE: {
    meaning:
      "No backup was verified for one and a half times BACKUP_VERIFY_EVERY_DAYS, or stored content waits longer than that setting allows.",
    causes: [
      "the daily verification does not run or fails",
      "BACKUP_IO_LIMIT is too low for what is stored",
    ],
    remedy: ["`citadel-agent backup status`", "`citadel-agent backup verify --rolling`"],
  },
  BACKUP_VERIFY_BUDGET: {
    meaning:
      "At BACKUP_IO_LIMIT the daily verification cannot read every stored byte within BACKUP_VERIFY_EVERY_DAYS.",
    causes: ["the repository grew", "the limit is low"],
    remedy: ["raise BACKUP_IO_LIMIT or BACKUP_VERIFY_EVERY_DAYS"],
  },
  BACKUP_JOB_FAILED: {
    meaning: "A scheduled backup job failed.",
    causes: ["see its error in the alert"],
    remedy: ["`citadel-agent backup status`", "`journalctl -u 'citadel-agent-backup@*'`"],
  },
  BACKUP_UNCOVERED: {
    meaning: "Something that should be backed up is in no snapshot.",
    causes: ["a model that came after the last backup", "a source that no schedule names"],
    remedy: ["`citadel-agent backup create`"],
  },
};
