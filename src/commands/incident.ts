// `incident`: one file with everything a person needs who was not there. Changes nothing, takes no lock.

import { incidentInputs } from "../app/incident.ts";
import { CitadelError, ExitCode, formatBytes, joinPath, type AbsolutePath } from "../core/index.ts";
import { collectEvidence, redactText, type Evidence } from "../incident/index.ts";
import { makeDirectories, resolvePath, writeStream } from "../system/index.ts";
import { writeNewTyped } from "../system/pinned-directory.ts";
import { defineAgentCommand } from "./define.ts";

/** The promise is 10 s for the whole command; this leaves room for packing. */
const deadlineMs = 8000;
const fileLimitBytes = 2 * 1024 * 1024;

export const command = defineAgentCommand({
  description:
    "packs host, mounts, layout, journal, history, alerts and logs into one redacted file",
  access: "read",
  settings: "none", // a host with broken settings needs its bundle most
  args: {
    out: {
      type: "string",
      valueHint: "FILE|-",
      description: "where to write it; - is standard output (default /run/citadel-agent)",
    },
  },
  examples: [
    "citadel-agent incident",
    "citadel-agent incident --out /tmp/incident.tar.gz",
    "ssh host citadel-agent incident --out - > incident.tar.gz",
  ],
  async run({ app, args, globals, out, signal }) {
    const { system } = app;
    if (args.out === "-" && globals.json) throw twoDocuments();
    const inputs = incidentInputs(system, { config: globals.config, envFile: globals.envFile });
    const redact = (text: string) => redactText(text, inputs.secrets);
    const { clock } = system;
    const evidence = await collectEvidence(inputs.collectors, {
      clock,
      deadlineMs,
      fileLimitBytes,
      redact,
      signal,
    });
    const archive = await pack(inputs.name, evidence);
    if (args.out === "-") {
      if (system.environment.stdoutIsTerminal) throw notForTerminals();
      writeStream(1, archive);
      return ExitCode.success;
    }
    const path = writeBundle(args.out, system.hostPaths.runtimeDir, inputs.name, archive);
    const files = evidence.index;
    out.result("incident", { path, bytes: archive.length, files }, () => {
      const silent = files.filter(({ state }) => state === "not_answering" || state === "failed");
      const kept = files.filter(({ state }) => state === "collected").length;
      const notes = silent.map(({ file, state }) => `  ${file}: ${state.replace("_", " ")}`);
      return [
        `${path}  ${formatBytes(archive.length)}, ${kept} files, secrets taken out`,
        ...notes,
      ].join("\n");
    });
    return ExitCode.success;
  },
});

/** @throws as the file system says; where it is full, read-only or not ours the hint is another place, not a clean-up */
function writeBundle(
  asked: string | undefined,
  runtimeDir: AbsolutePath,
  name: string,
  archive: Uint8Array,
): string {
  try {
    const path = targetPath(asked, runtimeDir, name);
    writeNewTyped(path, archive);
    return path;
  } catch (thrown) {
    if (thrown instanceof CitadelError && thrown.code === "ALREADY_EXISTS") throw taken(thrown);
    const isFull =
      thrown instanceof CitadelError &&
      ["no-space", "read-only", "permission"].includes(thrown.kind);
    if (!isFull) throw thrown;
    const { code, errno, kind, message, operation, path } = thrown;
    const hint =
      "write it elsewhere: `--out /dev/shm/incident.tar.gz`, or over the network: `ssh HOST citadel-agent incident --out - > incident.tar.gz`";
    throw new CitadelError({ kind, code, message, errno, operation, path, hint, cause: thrown });
  }
}

function taken({ path, cause }: CitadelError): CitadelError {
  return new CitadelError({
    kind: "conflict",
    code: "ALREADY_EXISTS",
    message: `${path} is there already; a bundle replaces nothing`,
    path,
    hint: "name a file that is not there yet, or remove it first",
    cause,
  });
}

function targetPath(
  asked: string | undefined,
  runtimeDir: AbsolutePath,
  name: string,
): AbsolutePath {
  if (asked !== undefined) return resolvePath(asked) as AbsolutePath;
  makeDirectories(runtimeDir, 0o755);
  return joinPath(runtimeDir, `${name}.tar.gz`);
}

async function pack(name: string, evidence: Evidence): Promise<Uint8Array> {
  const entries: Record<string, string> = {
    [`${name}/index.json`]: `${JSON.stringify(evidence.index, undefined, 2)}\n`,
  };
  for (const [file, text] of Object.entries(evidence.files)) entries[`${name}/${file}`] = text;
  return Bun.gzipSync(await new Bun.Archive(entries).bytes());
}

function twoDocuments(): CitadelError {
  return new CitadelError({
    kind: "usage",
    code: "FLAGS_CONTRADICT",
    message: "`--out -` and `--json` both want standard output",
    hint: "write the bundle to a file, or leave out --json",
  });
}

function notForTerminals(): CitadelError {
  return new CitadelError({
    kind: "usage",
    code: "OUTPUT_IS_TERMINAL",
    message: "the bundle is an archive and standard output is a terminal",
    hint: "redirect it: citadel-agent incident --out - > incident.tar.gz",
  });
}
