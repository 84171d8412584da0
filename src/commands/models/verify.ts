// `models verify --quick`: each configured model's directory, its size and file count, and whether its shards are
// whole by their headers. Hashes (`--full`) are not in this build, and it says so.

import { verifyModelsQuick } from "../../app/models.ts";
import { CitadelError, ExitCode, formatBytes } from "../../core/index.ts";
import type { ModelState } from "../../models/verify-quick.ts";
import { printable, type Tone } from "../../output/index.ts";
import { defineAgentCommand } from "../define.ts";

const tones: Readonly<Record<ModelState, Tone>> = {
  ok: "ok",
  empty: "warning",
  missing: "critical",
  damaged: "critical",
  unknown: "unknown",
};

export const command = defineAgentCommand({
  description: "looks at each model: there, how large, its shards whole by their headers",
  access: "read",
  args: {
    name: {
      type: "positional",
      required: false,
      description: "alias, key, directory or path of one model; alone: all configured models",
    },
    quick: { type: "boolean", description: "headers and sizes, no hashes: what this build does" },
    full: {
      type: "boolean",
      default: false,
      description: "hashes of all bytes (not in this build)",
    },
  },
  examples: ["citadel-agent models verify --quick", "citadel-agent models verify mixtral --json"],
  async run({ app, args, out, signal }) {
    if (args.full) throw notBuilt();
    const report = await verifyModelsQuick(app, args.name, signal);
    out.result("models-verify", { ...report }, () => {
      const rows = report.models.map((model) => [
        out.style.paint(tones[model.state], model.state),
        printable(model.name),
        formatBytes(model.bytes),
        String(model.files),
        String(model.checked),
        printable(model.problems[0] ?? model.path),
      ]);
      const header = ["STATE", "MODEL", "SIZE", "FILES", "SHARDS", ""];
      const table = out.style.table(rows, {
        header,
        align: ["left", "left", "right", "right", "right"],
      });
      const free = report.free_bytes === null ? "unknown" : formatBytes(report.free_bytes);
      const total = `${report.models.length} models, ${formatBytes(report.bytes)}; ${free} free`;
      return `${table}\n\n${total}. Headers and sizes only: bytes that were changed in place are not found so.`;
    });
    for (const warning of report.warnings) out.warn(printable(warning));
    const bad = report.models.some(({ state }) => state !== "ok" && state !== "empty");
    return bad ? ExitCode.findings : ExitCode.success;
  },
});

function notBuilt(): CitadelError {
  return new CitadelError({
    kind: "unsupported",
    code: "NOT_IN_THIS_BUILD",
    message: "models verify --full is not in this build",
    hint: "`models verify --quick` proves truncation; a verified backup proves the bytes (`backup verify`)",
  });
}
