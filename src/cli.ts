// The map of commands. To add one: write `src/commands/<noun>/<verb>.ts` that exports
// `const command = defineAgentCommand({…})`, and add ONE line here, in the group of its noun:
//     verify: lazy("prove a snapshot", () => import("./commands/backup/verify.ts")),
// A noun with verbs is `group("summary", { verb: lazy(…) })`; if the noun runs by itself too (`monitor` beside
// `monitor stop`), its own command is the third argument. Nothing here loads a command before it is called.

import { runProcess } from "./cli/process.ts";
import { group, lazy, type CommandMap } from "./cli/tree.ts";
import type { HelpSections } from "./cli/help.ts";
import type { ExitCode } from "./core/index.ts";

export const commandMap: CommandMap = {
  // layout
  setup: lazy("lay out this host, in one transaction", () => import("./commands/setup.ts")),
  repair: lazy("find and mend what is wrong", () => import("./commands/repair.ts")),
  prereq: group("what the layout needs of the host", {
    verify: lazy("check mounts, rights, users, tools", () => import("./commands/prereq/verify.ts")),
  }),
  dirs: group("the directories of the layout", {
    create: lazy("make them", () => import("./commands/dirs/create.ts")),
    verify: lazy("check them", () => import("./commands/dirs/verify.ts")),
  }),
  links: group("the links of the layout", {
    create: lazy("make them", () => import("./commands/links/create.ts")),
    verify: lazy("check them", () => import("./commands/links/verify.ts")),
    repair: lazy("mend them", () => import("./commands/links/repair.ts")),
    list: lazy("list them", () => import("./commands/links/list.ts")),
  }),
  env: lazy("the environment for model servers", () => import("./commands/env.ts")),
  history: lazy("what was changed, by whom", () => import("./commands/history.ts")),
  rollback: lazy("go back to an earlier generation", () => import("./commands/rollback.ts")),
  // monitor
  status: lazy("one screen of what is known now", () => import("./commands/status.ts")),
  monitor: group(
    "watch this host, repair its links",
    {
      stop: lazy("stop the running monitor", () => import("./commands/monitor/stop.ts")),
      smart: lazy("ask the disks, for the daemon", () => import("./commands/monitor/smart.ts")),
    },
    lazy("the daemon", () => import("./commands/monitor.ts")),
  ),
  metrics: lazy("the metrics as text", () => import("./commands/metrics.ts")),
  health: lazy("one look at everything", () => import("./commands/health.ts")),
  perf: lazy("measure the storage under a path", () => import("./commands/perf.ts")),
  alerts: group("what fires and what did", {
    list: lazy("alerts now and before", () => import("./commands/alerts/list.ts")),
    ack: lazy("acknowledge, or accept a value", () => import("./commands/alerts/ack.ts")),
    silence: lazy("not told for a while", () => import("./commands/alerts/silence.ts")),
  }),
  // backup
  backup: group("copies that are proved good, and their restore", {
    create: lazy("make a snapshot and check it", () => import("./commands/backup/create.ts")),
    list: lazy("the snapshots on the backup disk", () => import("./commands/backup/list.ts")),
    verify: lazy("prove snapshots", () => import("./commands/backup/verify.ts")),
    restore: lazy("bring a snapshot back", () => import("./commands/backup/restore.ts")),
    repair: lazy("heal a damaged snapshot", () => import("./commands/backup/repair.ts")),
    cleanup: lazy("remove what is too old", () => import("./commands/backup/cleanup.ts")),
    status: lazy("jobs, sizes, verification", () => import("./commands/backup/status.ts")),
    diff: lazy("what changed between two", () => import("./commands/backup/diff.ts")),
    "archive-logs": lazy(
      "old logs to the backup disk",
      () => import("./commands/backup/archive-logs.ts"),
    ),
    schedule: group("when backups run", {
      list: lazy("all types", () => import("./commands/backup/schedule/list.ts")),
      next: lazy("the next run", () => import("./commands/backup/schedule/next.ts")),
      install: lazy("timers or cron", () => import("./commands/backup/schedule/install.ts")),
      remove: lazy("take them away", () => import("./commands/backup/schedule/remove.ts")),
    }),
    "run-due": lazy("run what is due", () => import("./commands/backup/run-due.ts")),
  }),
  // service
  service: group("the agent as a systemd service", {
    install: lazy("binary and units", () => import("./commands/service/install.ts")),
    uninstall: lazy("take them off", () => import("./commands/service/uninstall.ts")),
    status: lazy("what is installed and runs", () => import("./commands/service/status.ts")),
  }),
  // models, tune, store
  models: group("the model directories", {
    verify: lazy("is each model there and whole", () => import("./commands/models/verify.ts")),
  }),
  validate: lazy("the ten checks of the storage set-up", () => import("./commands/validate.ts")),
  tune: group("mount options, schedulers and trim of the storage", {
    plan: lazy("what tuning would do to this host", () => import("./commands/tune/plan.ts")),
    apply: lazy("tune this host", () => import("./commands/tune/apply.ts")),
    rollback: lazy("restore what was before", () => import("./commands/tune/rollback.ts")),
    status: lazy("what is in force", () => import("./commands/tune/status.ts")),
  }),
  // the agent itself
  doctor: lazy("checks of the agent's own footing", () => import("./commands/doctor.ts")),
  uninstall: lazy("take the agent off this host", () => import("./commands/uninstall.ts")),
  selftest: lazy("prove the promises on a file system", () => import("./commands/selftest.ts")),
  incident: lazy("a redacted bundle of evidence", () => import("./commands/incident.ts")),
  config: group("the settings", {
    show: lazy("the settings in effect", () => import("./commands/config/show.ts")),
    check: lazy("everything that is wrong", () => import("./commands/config/check.ts")),
    example: lazy("a commented sample", () => import("./commands/config/example.ts")),
  }),
  explain: lazy("what an error or alert code means", () => import("./commands/explain.ts")),
  schema: lazy("the JSON schema of a document", () => import("./commands/schema.ts")),
  completion: lazy("shell completion", () => import("./commands/completion.ts")),
};

/** The order of the first screen. */
export const helpSections: HelpSections = [
  [
    "Layout",
    ["setup", "status", "repair", "prereq", "dirs", "links", "env", "history", "rollback"],
  ],
  ["Watch", ["monitor", "health", "perf", "alerts", "metrics", "incident", "doctor"]],
  ["Data", ["backup", "models", "store", "serve"]],
  ["Host", ["tune", "validate", "service", "uninstall"]],
  ["Agent", ["config", "explain", "schema", "completion", "selftest"]],
];

/** Runs the command line of this process. */
export function main(argv: readonly string[]): Promise<ExitCode> {
  return runProcess(commandMap, helpSections, argv);
}
