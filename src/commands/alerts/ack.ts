// `alerts ack ID`: somebody knows.

import { acknowledgeAlert } from "../../app/alerts.ts";
import { ExitCode } from "../../core/index.ts";
import { alertEntry } from "../../monitor/documents.ts";
import { defineAgentCommand } from "../define.ts";

export const command = defineAgentCommand({
  description:
    "acknowledges an alert; a SMART value is accepted and alerts again only when it grows",
  access: "change",
  args: {
    id: {
      type: "positional",
      required: true,
      description: "the id that `alerts list` shows, or its beginning",
    },
    comment: { type: "string", description: "why, for those who read it later" },
  },
  examples: ["citadel-agent alerts ack 3f2a --comment 'disk ordered'"],
  run({ app, args, globals, out }) {
    if (globals.dryRun) {
      out.result("alert-ack", { dry_run: true, id: args.id }, () => `would acknowledge ${args.id}`);
      return Promise.resolve(ExitCode.success);
    }
    const { alert, accepted } = acknowledgeAlert(app, args.id, args.comment ?? "");
    const said =
      accepted === null ? "acknowledged" : `accepted ${accepted}: alerts again only when it grows`;
    out.result("alert-ack", { alert: alertEntry(alert), accepted }, () => `${alert.name}: ${said}`);
    return Promise.resolve(ExitCode.success);
  },
});
