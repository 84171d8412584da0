// `alerts silence MATCHER… --for DURATION`: not told for a while. `alerts silence --end ID` ends it.

import { endSilence, silenceAlerts } from "../../app/alerts.ts";
import { CitadelError, ExitCode, formatTime } from "../../core/index.ts";
import { silenceEntry } from "../../monitor/documents.ts";
import { parseDurationMs, parseMatchers } from "../../monitor/matchers.ts";
import { defineAgentCommand } from "../define.ts";

export const command = defineAgentCommand({
  description: "silences alerts that carry a name or labels, for a time",
  access: "change",
  args: {
    match: {
      type: "positional",
      required: false,
      description: "the alert's name, or labels: DISK_USAGE,root=models",
    },
    for: { type: "string", description: "how long: 30m, 2h, 7d; default 1h" },
    comment: { type: "string", description: "why, for those who read it later" },
    end: { type: "string", description: "end the silence with this id" },
  },
  examples: [
    "citadel-agent alerts silence MODEL_SERVICE_DOWN,service=phi3 --for 2h",
    "citadel-agent alerts silence --end 3f2a9c1b00112233",
  ],
  run({ app, args, globals, out }) {
    if (args.end !== undefined) {
      if (!globals.dryRun) endSilence(app, args.end);
      out.result("alert-silence", { ended: args.end, dry_run: globals.dryRun }, () => "ended");
      return Promise.resolve(ExitCode.success);
    }
    if (args.match === undefined || args.match === "") throw nothingToMatch();
    const matchers = parseMatchers(args.match);
    const durationMs = parseDurationMs(args.for ?? "1h");
    if (globals.dryRun) {
      out.result(
        "alert-silence",
        { matchers, for_s: durationMs / 1000, dry_run: true },
        () => `would silence ${args.match}`,
      );
      return Promise.resolve(ExitCode.success);
    }
    const silence = silenceAlerts(app, matchers, durationMs, args.comment ?? "");
    out.result(
      "alert-silence",
      { silence: silenceEntry(silence) },
      () => `silenced until ${formatTime(silence.untilMs)} (${silence.id})`,
    );
    return Promise.resolve(ExitCode.success);
  },
});

function nothingToMatch(): CitadelError {
  return new CitadelError({
    kind: "usage",
    code: "MATCHER_INVALID",
    message: "nothing named to silence",
    hint: "name the alert or its labels: `citadel-agent alerts silence DISK_USAGE,root=models --for 2h`",
  });
}
