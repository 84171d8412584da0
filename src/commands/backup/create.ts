// `backup create [SOURCE]`: a proved copy of a tree, or with --configs of what a host needs to be rebuilt.

import { isUtf8 } from "node:buffer";
import { createConfigsBackup, planConfigsBackup } from "../../app/backup-configs.ts";
import {
  backupPlanHash,
  createBackup,
  exitCodeOfBackup,
  planBackup,
  type CreateOutcome,
} from "../../app/backup-create.ts";
import { pathArgument, pathArgumentBytes } from "../../app/path-argument.ts";
import type { CreateProgress } from "../../backup/create/options.ts";
import { assertTags } from "../../backup/create/tags.ts";
import { CitadelError, counted, formatBytes, formatDuration } from "../../core/index.ts";
import { printable } from "../../output/index.ts";
import { defineAgentCommand } from "../define.ts";
import { showCreatePlan } from "./create-plan.ts";
import { planChanged } from "./plan-changed.ts";

const types = ["full", "incremental"] as const;

export const command = defineAgentCommand({
  description: "makes a snapshot of the active models (or SOURCE) and checks it",
  access: "change",
  args: {
    source: {
      type: "positional",
      required: false,
      description: "directory; default: the active models",
    },
    kind: {
      type: "positional",
      required: false,
      options: types,
      description: "the same as --type, as the former tool took it",
    },
    type: {
      type: "enum",
      options: types,
      description:
        "full: every byte anew; incremental: unchanged files are linked (default: the setting)",
    },
    tag: {
      type: "string",
      multiple: true,
      valueHint: "daily|weekly|monthly|WORD",
      description:
        "retention counts it for that; another word is a label, and it goes by age like one without",
    },
    plain: {
      type: "boolean",
      description: "stores nothing compressed: `data` holds every file as it was",
    },
    crossFilesystems: {
      type: "boolean",
      description: "goes into file systems mounted below the source",
    },
    acceptShrink: { type: "boolean", description: "the source may have lost more than half" },
    configs: {
      type: "boolean",
      description: "instead of models: what a host needs to be rebuilt, without secrets",
    },
    withSecrets: { type: "boolean", description: "with --configs: keeps secrets, mode 0600" },
    verify: {
      type: "boolean",
      description: "checks the snapshot afterwards (default: the setting)",
      negativeDescription: "does not check the snapshot afterwards",
    },
  },
  examples: [
    "citadel-agent backup create",
    "citadel-agent backup create /mnt/citadel-models/active --type full",
    "citadel-agent backup create --tag weekly --json",
    "citadel-agent backup create --configs",
  ],
  async run({ app, args, globals, out, signal, words, rawBytes }) {
    if (args.kind !== undefined && args.type !== undefined && args.kind !== args.type) {
      throw contradiction(args.kind, args.type);
    }
    assertTags(args.tag ?? []);
    const context = { signal, onProgress: (progress: CreateProgress) => out.progress(progress) };
    const base = { lockTimeoutMs: globals.lockTimeoutMs, command: words.join(" ") };
    if (args.configs === true && args.source !== undefined) {
      throw excluded(args.source, "--configs");
    }
    if (args.configs === true && args.crossFilesystems === true) {
      throw excluded("--cross-filesystems", "--configs");
    }
    if (args.configs !== true && args.withSecrets === true) {
      throw new CitadelError({
        kind: "usage",
        code: "FLAG_REQUIRED",
        message: "--with-secrets goes with --configs",
        hint: "add --configs; models are stored whole, whatever they hold",
      });
    }
    const odd = rawBytes("source").find((bytes) => !isUtf8(bytes));
    const wish = {
      source: args.source === undefined ? undefined : pathArgument(app, args.source),
      sourceBytes: odd === undefined ? undefined : pathArgumentBytes(app, odd),
      type: args.type ?? args.kind,
      tags: args.tag,
      plain: args.plain,
      crossFileSystems: args.crossFilesystems,
      acceptShrink: args.acceptShrink,
      verify: args.verify,
    };
    if (globals.dryRun || globals.planHash !== undefined) {
      const plan =
        args.configs === true
          ? planConfigsBackup(app, { withSecrets: args.withSecrets ?? false, type: args.type })
          : await planBackup(app, wish, signal);
      const hash = backupPlanHash(plan);
      if (globals.dryRun) return showCreatePlan(out, plan, hash);
      if (globals.planHash !== hash) throw planChanged();
    }
    const outcome = await (args.configs === true
      ? createConfigsBackup(
          app,
          {
            ...base,
            type: args.type,
            tags: args.tag,
            acceptShrink: args.acceptShrink,
            verify: args.verify,
            withSecrets: args.withSecrets ?? false,
          },
          context,
        )
      : createBackup(app, { ...wish, ...base }, context));
    for (const warning of outcome.report.warnings) out.warn(warning);
    out.result("backup-create", toDocument(outcome), () => formatOutcome(outcome));
    return exitCodeOfBackup(outcome);
  },
});

function excluded(what: string, other: string): CitadelError {
  return new CitadelError({
    kind: "usage",
    code: "ARGUMENTS_CONTRADICT",
    message: `${what} and ${other} exclude one another`,
    hint: "leave out one of the two",
  });
}

function contradiction(kind: string, type: string): CitadelError {
  return new CitadelError({
    kind: "usage",
    code: "ARGUMENTS_CONTRADICT",
    message: `${kind} and --type ${type} contradict one another`,
    hint: "give the type once",
  });
}

export function toDocument({ report, verification }: CreateOutcome): Record<string, unknown> {
  const { warnings, ...fields } = report;
  return {
    ...fields,
    warnings,
    verified:
      verification === undefined
        ? null
        : {
            valid: verification.valid,
            mode: verification.mode,
            sample_rate: verification.sampleRate,
            files_checked: verification.filesChecked,
            files_failed: verification.filesFailed,
          },
  };
}

/** Written is less than copied where files were packed, had holes, or came out equal to what is stored. */
function formatWritten({ copied_bytes, written_bytes }: CreateOutcome["report"]): string {
  return written_bytes === copied_bytes ? "" : `, ${formatBytes(written_bytes)} as stored`;
}

/** Below this a rate says more about the start of the program than about the disk. */
const minRatedBytes = 16 * 1024 * 1024;

function formatRate({ copied_bytes, bytes_per_s }: CreateOutcome["report"]): string {
  return copied_bytes < minRatedBytes ? "" : ` (${formatBytes(bytes_per_s)}/s copied)`;
}

export function formatOutcome({ report, verification }: CreateOutcome): string {
  const { files, copied_files, cloned_files, linked_files, resumed_files, packed_files } = report;
  // hard links at the source: stored once, each name counted as a file
  const names = files - copied_files - cloned_files - linked_files - resumed_files;
  const lines = [
    `snapshot   ${report.snapshot}`,
    `in         ${printable(report.directory)}`,
    `parent     ${report.parent ?? "none"}`,
    `content    ${formatBytes(report.bytes)} in ${counted(files, "file")}`,
    `copied     ${formatBytes(report.copied_bytes)} in ${counted(copied_files, "file")}${formatWritten(report)}`,
  ];
  if (cloned_files > 0) {
    lines.push(
      `cloned     ${formatBytes(report.cloned_bytes)} in ${counted(cloned_files, "file")}, blocks shared with the source`,
    );
  }
  if (linked_files > 0) lines.push(`linked     ${counted(linked_files, "file")} to equal content`);
  if (report.renewed_files > 0) {
    lines.push(
      `renewed    ${counted(report.renewed_files, "unchanged file")}, read from the source again: damaged in the parent`,
    );
  }
  if (names > 0) lines.push(`names      ${counted(names, "hard link")} to files counted above`);
  if (resumed_files > 0) {
    lines.push(`resumed    ${counted(resumed_files, "file")} that an interrupted run had copied`);
  }
  if (packed_files > 0)
    lines.push(`packed     ${counted(packed_files, "file")} of these, stored compressed`);
  lines.push(`took       ${formatDuration(report.duration_s * 1000)}${formatRate(report)}`);
  if (report.outside_links > 0) lines.push(`links that leave the source  ${report.outside_links}`);
  if (verification !== undefined) {
    const { valid, filesChecked, filesTotal } = verification;
    lines.push(
      `check      ${valid ? "sound" : "DAMAGED"} (${filesChecked} of ${counted(filesTotal, "file")} read again)`,
    );
  }
  if (report.skipped_total > 0) {
    lines.push("", `Not in the snapshot: ${report.skipped_total}`);
    for (const { path, reason } of report.skipped.slice(0, 20))
      lines.push(`  ${reason}  ${printable(path)}`);
    if (report.skipped_total > 20) lines.push("  … see --json or snapshot.json for more");
  }
  return lines.join("\n");
}
