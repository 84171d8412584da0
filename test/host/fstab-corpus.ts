// fstab files of our own making, after what real hosts have. `models` and `backup` say what becomes of the option
// field of /mnt/citadel-models and /mnt/citadel-backup with the safe profile; a code says the file is refused.

export interface CorpusFile {
  readonly name: string;
  readonly text: string | Uint8Array;
  /** The new option field; undefined: no entry, so one is added (or nothing happens). */
  readonly models?: string;
  readonly backup?: string;
  /** The entry is as wanted already. */
  readonly settled?: boolean;
  readonly refused?:
    "FSTAB_LINE_UNSAFE" | "FSTAB_DUPLICATE_ENTRY" | "FSTAB_BLOCK_BROKEN" | "FSTAB_UNSAFE";
}

const safe = "noatime,nodiratime,data=writeback";
const hdd = "noatime,data=ordered";
const root = "UUID=0a1b2c3d-0000-4000-8000-000000000001 / ext4 errors=remount-ro 0 1\n";
const M = "/mnt/citadel-models";
const B = "/mnt/citadel-backup";

export const corpus: readonly CorpusFile[] = [
  {
    name: "the seed's host, by UUID",
    text: `# /etc/fstab: static file system information.\n#\n${root}UUID=1111-a ${M} ext4 defaults 0 2\nUUID=2222-b ${B} ext4 defaults 0 2\n/swap.img none swap sw 0 0\n`,
    models: `defaults,${safe}`,
    backup: `defaults,${hdd}`,
  },
  {
    name: "tabs between the fields, several of them",
    text: `${root}UUID=1111-a\t\t${M}\t\text4\tdefaults,nofail\t\t0\t2\n`,
    models: `defaults,nofail,${safe}`,
  },
  {
    name: "no final newline, the entry last",
    text: `${root}LABEL=models ${M} ext4 rw,relatime 0 2`,
    models: `rw,${safe}`,
  },
  {
    name: "no final newline and no fifth and sixth field",
    text: `${root}LABEL=models ${M} ext4 rw,relatime`,
    models: `rw,${safe}`,
  },
  {
    name: "no option field at all",
    text: `${root}LABEL=models ${M} ext4\nLABEL=backup ${B} ext4   \n`,
    models: `defaults,${safe}`,
    backup: `defaults,${hdd}`,
  },
  {
    name: "CRLF line ends",
    text: `# edited elsewhere\r\n${root.trimEnd()}\r\nUUID=1111-a ${M} ext4 defaults 0 2\r\n`,
    models: `defaults,${safe}`,
  },
  {
    name: "CRLF, option field last on the line",
    text: `UUID=1111-a ${M} ext4 defaults\r\nUUID=2222-b ${B} xfs defaults\r\n`,
    models: `defaults,${safe}`,
    backup: "defaults,noatime",
  },
  {
    name: "blanks before the source and behind the line",
    text: `   UUID=1111-a   ${M}   ext4   defaults   0   2   \n\t${root}`,
    models: `defaults,${safe}`,
  },
  {
    name: "systemd options stay",
    text: `PARTUUID=77aa-01 ${M} ext4 defaults,nofail,x-systemd.device-timeout=10s,x-systemd.requires=foo.service 0 2\n`,
    models: `defaults,nofail,x-systemd.device-timeout=10s,x-systemd.requires=foo.service,${safe}`,
  },
  {
    name: "x-systemd.automount",
    text: `${root}UUID=1111-a ${M} ext4 noauto,x-systemd.automount,relatime 0 0\n`,
    models: `noauto,x-systemd.automount,${safe}`,
  },
  {
    name: "by-id path, xfs",
    text: `/dev/disk/by-id/nvme-Vendor_SSD_4TB_S6P1-part1 ${M} xfs defaults,logbsize=256k 0 0\n`,
    models: "defaults,logbsize=256k,noatime,nodiratime",
  },
  {
    name: "device mapper path with doubled hyphens",
    text: `/dev/mapper/my--vg-models ${M} ext4 defaults 1 2\n/dev/my-vg/swap swap swap defaults 0 0\n`,
    models: `defaults,${safe}`,
  },
  {
    name: "btrfs subvolumes of one file system",
    text: `UUID=33 / btrfs subvol=@,compress=zstd 0 0\nUUID=33 /home btrfs subvol=@home 0 0\nUUID=33 ${M} btrfs rw,relatime,subvol=/@models,ssd 0 0\n`,
    models: "rw,noatime,subvol=/@models,ssd,nodiratime",
  },
  {
    name: "NFS, CIFS with credentials, tmpfs and proc around it",
    text: `filer:/export/home /home nfs4 rw,hard,_netdev 0 0\n//nas/share /srv/nas cifs credentials=/etc/nas.cred,uid=1000,iocharset=utf8 0 0\ntmpfs /tmp tmpfs size=26%,mode=1777 0 0\nproc /proc proc defaults 0 0\nUUID=1111-a ${M} ext4 defaults 0 2\n`,
    models: `defaults,${safe}`,
  },
  {
    name: "models on NFS: left alone",
    text: `filer:/models ${M} nfs4 rw,hard 0 0\nUUID=2222-b ${B} ext4 defaults 0 2\n`,
    models: "rw,hard",
    backup: `defaults,${hdd}`,
  },
  {
    name: "bind mount of the models",
    text: `UUID=1111-a /data ext4 defaults 0 2\n/data/models ${M} none bind,relatime 0 0\n`,
    models: "bind,noatime,nodiratime",
  },
  {
    name: "trailing slash at the mount point",
    text: `UUID=1111-a ${M}/ ext4 defaults 0 2\n`,
    models: `defaults,${safe}`,
  },
  {
    name: "octal escapes in other mount points, and UTF-8",
    text: `/dev/sdb5 /l\\040ok/at ext4 defaults 1 1\nLABEL=Größe /srv/größe ext4 defaults 0 2\nUUID=1111-a ${M} ext4 defaults 0 2\n`,
    models: `defaults,${safe}`,
  },
  {
    name: "the mount point itself written with an escape",
    text: `UUID=1111-a /mnt/citadel\\055models ext4 defaults 0 2\n`,
    models: `defaults,${safe}`,
  },
  {
    name: "bytes that are not UTF-8 in a comment and a label",
    text: Buffer.concat([
      Buffer.from("# Festplatte f"),
      Buffer.from([0xfc]),
      Buffer.from("r Modelle\nLABEL=m"),
      Buffer.from([0xe4, 0xff]),
      Buffer.from(` ${M} ext4 defaults 0 2\n`),
    ]),
    models: `defaults,${safe}`,
  },
  {
    name: "comments that look like entries, and a commented copy of ours",
    text: `#UUID=1111-a ${M} ext4 defaults 0 2\n  # /dev/sdz1 ${M} ext4 noauto 0 0\nUUID=1111-a ${M} ext4 defaults 0 2\n`,
    models: `defaults,${safe}`,
  },
  {
    name: "comment behind the sixth field",
    text: `UUID=1111-a ${M} ext4 defaults 0 2 # the fast disk\n`,
    models: `defaults,${safe}`,
  },
  {
    name: "contradicting options are replaced in their place",
    text: `UUID=1111-a ${M} ext4 rw,strictatime,diratime,data=journal,commit=60 0 2\nUUID=2222-b ${B} ext4 relatime,data=writeback 0 2\n`,
    models: "rw,noatime,nodiratime,data=writeback,commit=60",
    backup: "noatime,data=ordered",
  },
  {
    name: "as wanted already",
    text: `UUID=1111-a ${M} ext4 noatime,nodiratime,data=writeback,nofail 0 2\nUUID=2222-b ${B} ext4 data=ordered,noatime 0 2\n`,
    models: "noatime,nodiratime,data=writeback,nofail",
    backup: "data=ordered,noatime",
    settled: true,
  },
  {
    name: "quoted SELinux context with commas and lazytime",
    text: `UUID=1111-a ${M} ext4 lazytime,context="system_u:object_r:data_t:s0:c1,c2",relatime 0 2\n`,
    models: `lazytime,context="system_u:object_r:data_t:s0:c1,c2",${safe}`,
  },
  {
    name: "a prefix of our mount point is not ours",
    text: `UUID=1 ${M}-old ext4 defaults 0 2\nUUID=2 ${M}/inner ext4 defaults 0 2\nUUID=3 ${M} ext4 defaults 0 2\n`,
    models: `defaults,${safe}`,
  },
  {
    name: "blank lines, form and odd spacing kept",
    text: `\n\n\t\n# one\n\n${root}\n\n\nUUID=1111-a ${M} ext4 defaults 0 2\n\n# end\n\n`,
    models: `defaults,${safe}`,
  },
  {
    name: "ext3 and auto types",
    text: `UUID=1111-a ${M} ext3 defaults 0 2\nUUID=2222-b ${B} auto defaults 0 2\n`,
    models: "defaults,noatime,nodiratime",
    backup: "defaults,noatime",
  },
  {
    name: "quota, user and acl options stay",
    text: `UUID=1111-a ${M} ext4 usrjquota=aquota.user,grpjquota=aquota.group,jqfmt=vfsv1,acl,user,exec 0 2\n`,
    models: `usrjquota=aquota.user,grpjquota=aquota.group,jqfmt=vfsv1,acl,user,exec,${safe}`,
  },
  {
    name: "another backslash line far away does not matter",
    text: `# a comment that ends so \\\n# another\nUUID=1111-a ${M} ext4 defaults 0 2\nUUID=9 /x ext4 defaults 0 2 \\\n# end\n`,
    models: `defaults,${safe}`,
  },
  {
    name: "mergerfs and snapraid of a home server",
    text: `UUID=6c1c /mnt/disk-A1 ext4 auto,nofail,rw 0 1\n/mnt/disk-* /mnt/pool fuse.mergerfs defaults,allow_other,minfreespace=50G,fsname=pool 0 0\nUUID=1111-a ${M} ext4 auto,nofail,rw 0 1\n`,
    models: `auto,nofail,rw,${safe}`,
  },
  { name: "an empty file", text: "" },
  { name: "only comments, no final newline", text: "# UNCONFIGURED FSTAB FOR BASE SYSTEM" },
  {
    name: "two entries for the models",
    text: `UUID=1 ${M} ext4 defaults 0 2\nUUID=2 ${M} ext4 noauto 0 2\n`,
    refused: "FSTAB_DUPLICATE_ENTRY",
  },
  {
    name: "our line behind a backslash continuation",
    text: `UUID=1 /x ext4 defaults 0 2 \\\nUUID=2 ${M} ext4 defaults 0 2\n`,
    refused: "FSTAB_LINE_UNSAFE",
  },
  {
    name: "our line ending in a backslash",
    text: `UUID=2 ${M} ext4 defaults,\\\n  noatime 0 2\n`,
    refused: "FSTAB_LINE_UNSAFE",
  },
  {
    name: "a comment where the options belong",
    text: `UUID=2 ${M} ext4 # fast disk\n`,
    refused: "FSTAB_LINE_UNSAFE",
  },
  {
    name: "a word where fsck's number belongs",
    text: `UUID=2 ${M} ext4 defaults 0 two\n`,
    refused: "FSTAB_LINE_UNSAFE",
  },
  {
    name: "a label in quotes with a blank, which shifts the fields",
    text: `LABEL="my ${M} ext4 defaults 0 2\n`,
    refused: "FSTAB_LINE_UNSAFE",
  },
  { name: "an entry of two fields", text: `UUID=2 ${M}\n`, refused: "FSTAB_LINE_UNSAFE" },
  {
    name: "a carriage return inside the line",
    text: `UUID=2 ${M} ext4 def\raults 0 2\n`,
    refused: "FSTAB_LINE_UNSAFE",
  },
  { name: "a NUL byte", text: `UUID=2 ${M} ext4 defaults 0 2\n\0`, refused: "FSTAB_UNSAFE" },
];
