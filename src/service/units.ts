// The units of the service as data: one text per file, from what the settings say. Pure. Each line that is not
// obvious says why it is there; docs/guides/operations.md tells what each unit may do.

export interface UnitFacts {
  /** `/usr/local/bin/citadel-agent`. */
  readonly binary: string;
  /** Global flags for every command: `--config FILE`. */
  readonly flags: readonly string[];
  /** Host paths of the storage roots. */
  readonly roots: readonly string[];
  /** Host paths that hold our state and logs beside the roots. */
  readonly stateDir: string;
  /** Homes that links of ours lie in. */
  readonly homes: readonly string[];
  readonly smartIntervalS: number;
  readonly smart: boolean;
  /** /dev/kmsg is there (in many containers it is not). */
  readonly kernelLog: boolean;
  /** The daemon watches, and so starts the backups; else a timer does. */
  readonly monitoring: boolean;
  /** OnCalendar texts of the backups. */
  readonly backupTimes: readonly string[];
}

export interface Unit {
  readonly name: string;
  readonly content: string;
  /** Enabled and started by `service install`; others are started by these. */
  readonly enabled: boolean;
}

/** Every name this agent ever gave to a unit: what `service install` may replace and `uninstall` remove. */
export const unitNames = [
  "citadel-agent.service",
  "citadel-agent-smart.service",
  "citadel-agent-smart.timer",
  "citadel-agent-backup@.service",
  "citadel-agent-backup@run-due.timer",
] as const;

const header = "# Written by `citadel-agent service install`; changed settings: run it again.\n";

/** The units for a host. */
export function serviceUnits(facts: UnitFacts): Unit[] {
  const smart: Unit[] = facts.smart
    ? [
        { name: "citadel-agent-smart.service", content: smartService(facts), enabled: false },
        { name: "citadel-agent-smart.timer", content: smartTimer(facts), enabled: true },
      ]
    : [];
  const timer: Unit[] =
    facts.monitoring || facts.backupTimes.length === 0
      ? []
      : [
          {
            name: "citadel-agent-backup@run-due.timer",
            content: backupTimer(facts),
            enabled: true,
          },
        ];
  return [
    { name: "citadel-agent.service", content: daemonService(facts), enabled: true },
    ...smart,
    { name: "citadel-agent-backup@.service", content: backupService(facts), enabled: false },
    ...timer,
  ];
}

/** systemd.syntax(7): blanks, quotes, `%` and `$` mean something in a command line. */
export function quote(word: string): string {
  const escaped = word.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%");
  const plain = escaped.replaceAll("$", "$$$$");
  return /^[\w@%+=:,./\\-]+$/.test(plain) ? plain : `"${plain}"`;
}

const commandLine = ({ binary, flags }: UnitFacts, ...words: readonly string[]) =>
  [quote(binary), ...words, ...flags.map(quote)].join(" ");

/** A path in a list of paths. */
const pathWord = (path: string) =>
  `"${path.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%")}"`;

/** Whether a root lies where ProtectHome would hide it. */
const hidesRoots = ({ roots }: UnitFacts) =>
  roots.some((root) => /^\/(?:home|root|run\/user)(?:\/|$)/.test(root));

/**
 * Bun's own doors, should the manager's environment (DefaultEnvironment=, a drop-in) ever have them:
 * docs/architecture-binary.md.
 */
export const ownProgram = `UnsetEnvironment=BUN_BE_BUN BUN_OPTIONS BUN_INSPECT BUN_INSPECT_PRELOAD
`;

/** What every unit of ours goes without. */
const hardening = `${ownProgram}NoNewPrivileges=yes
PrivateTmp=yes
PrivateMounts=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
KeyringMode=private
SystemCallArchitectures=native
# Without MemoryDenyWriteExecute: it turns the JIT compiler off.
`;

/** A refused call is an error to the program, not the end of it. */
const calls = `SystemCallFilter=@system-service
SystemCallFilter=~@resources @keyring @debug @obsolete
SystemCallErrorNumber=EPERM
`;

function daemonService(facts: UnitFacts): string {
  const homes = facts.homes.map((home) => `BindPaths=${pathWord(`-${home}`)}\n`).join("");
  return `${header}[Unit]
Description=citadel-agent: watches and mends the storage of this model server
# After the mounts, and never RequiresMountsFor=: it has to run when a disk is gone.
After=local-fs.target remote-fs.target network.target time-sync.target nvidia-persistenced.service
StartLimitIntervalSec=600
StartLimitBurst=30

[Service]
Type=notify
NotifyAccess=main
ExecStart=${commandLine(facts, "monitor")}
ExecReload=${quote(facts.binary)} __child hup $MAINPID
Restart=always
RestartSec=5
WatchdogSec=60
TimeoutStartSec=90
TimeoutStopSec=30
OOMScoreAdjust=-500
MemoryMax=1G
TasksMax=256
LimitCORE=0
UMask=0077
RuntimeDirectory=citadel-agent
RuntimeDirectoryMode=0755
# Locks of other commands lie there: a stop of the daemon must not take them away.
RuntimeDirectoryPreserve=yes
StateDirectory=citadel-agent
StateDirectoryMode=0700
${
  facts.kernelLog
    ? `# The kernel's log, for errors of disks and GPUs: opened by systemd, so that CAP_SYSLOG is not needed.
StandardInput=file:/dev/kmsg
`
    : ""
}
# Root, with what mending links and owners in other people's directories needs, and nothing else.
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER
# Not strict: ReadWritePaths= would bind the roots, or what they lie in, onto themselves. A disk that is gone would
# look mounted then, and one that comes back would be mounted underneath, unseen.
ProtectSystem=full
ProtectHome=${hidesRoots(facts) ? "no" : `tmpfs\n${homes}`.trimEnd()}
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
# The usual devices and the GPUs. A GPU driver that is loaded later needs a restart of the service.
DevicePolicy=closed
DeviceAllow=char-nvidia* rw
ProtectClock=yes
ProtectKernelLogs=yes
${hardening}# Without PrivateDevices (hides /dev/nvidia*) and ProcSubset=pid (hides /proc/diskstats).
${calls}
[Install]
WantedBy=multi-user.target
`;
}

function smartService(facts: UnitFacts): string {
  return `${header}[Unit]
Description=citadel-agent: asks the disks for their SMART values

[Service]
Type=oneshot
ExecStart=${commandLine(facts, "monitor", "smart")}
TimeoutStartSec=300
UMask=0077
RuntimeDirectory=citadel-agent
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
StateDirectory=citadel-agent
StateDirectoryMode=0700
# Commands to disks: SG_IO wants CAP_SYS_RAWIO, NVMe admin commands CAP_SYS_ADMIN.
CapabilityBoundingSet=CAP_SYS_RAWIO CAP_SYS_ADMIN CAP_DAC_READ_SEARCH
ProtectSystem=strict
${facts.stateDir === "/var/lib/citadel-agent" ? "" : `ReadWritePaths="-${facts.stateDir}"\n`}ProtectHome=yes
ProtectProc=invisible
ProtectKernelLogs=yes
PrivateNetwork=yes
IPAddressDeny=any
RestrictAddressFamilies=AF_UNIX
${hardening}SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
`;
}

function smartTimer({ smartIntervalS }: UnitFacts): string {
  return `${header}[Unit]
Description=citadel-agent: SMART values of the disks, regularly

[Timer]
OnActiveSec=30s
OnUnitActiveSec=${smartIntervalS}s
AccuracySec=${Math.max(1, Math.min(60, Math.floor(smartIntervalS / 10)))}s

[Install]
WantedBy=timers.target
`;
}

function backupService(facts: UnitFacts): string {
  return `${header}[Unit]
Description=citadel-agent: scheduled work (%i)
After=local-fs.target remote-fs.target

[Service]
Type=oneshot
ExecStart=${commandLine(facts, "backup", "%i")}
# Hours for terabytes; never at the cost of the model servers.
TimeoutStartSec=infinity
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
OOMScoreAdjust=300
UMask=0077
RuntimeDirectory=citadel-agent
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
StateDirectory=citadel-agent
StateDirectoryMode=0700
# Reads every file, and gives copies the owner and the mode of the original.
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_SETFCAP
ProtectSystem=full
ProtectHome=read-only
ProtectProc=invisible
ProtectKernelLogs=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
${ownProgram}NoNewPrivileges=yes
PrivateTmp=yes
PrivateMounts=yes
PrivateDevices=yes
ProtectClock=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@keyring @debug @obsolete
SystemCallErrorNumber=EPERM
`;
}

function backupTimer({ backupTimes }: UnitFacts): string {
  return `${header}[Unit]
Description=citadel-agent: backups, while the daemon does not watch

[Timer]
${[...new Set(backupTimes)].map((time) => `OnCalendar=${time}`).join("\n")}
Persistent=true

[Install]
WantedBy=timers.target
`;
}
