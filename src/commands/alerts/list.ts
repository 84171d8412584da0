// `alerts list`: what fires now and what did.

import { readAlerts } from "../../app/alerts.ts";
import { ExitCode } from "../../core/index.ts";
import { silenceOf } from "../../monitor/alert.ts";
import { alertEntry, silenceEntry } from "../../monitor/documents.ts";
import { formatAlerts } from "../../output/alerts-text.ts";
import { defineAgentCommand } from "../define.ts";

export const command = defineAgentCommand({
  description: "alerts that fire now, and resolved ones within their retention",
  access: "read",
  args: { firing: { type: "boolean", description: "only those that fire now" } },
  examples: ["citadel-agent alerts list", "citadel-agent alerts list --firing --json"],
  run({ app, args, out }) {
    const view = readAlerts(app);
    const nowMs = app.system.clock.nowMs();
    if (!view.known) out.note("no history yet: the daemon (`citadel-agent monitor`) keeps it");
    const shown = view.alerts.filter((alert) => args.firing !== true || alert.state === "firing");
    const alerts = shown.map((alert) => ({
      ...alertEntry(alert),
      silenced: silenceOf(alert, view.silences, nowMs)?.id ?? null,
    }));
    const document = {
      alerts,
      silences: view.silences.map(silenceEntry),
      accepted: view.acceptances.map(({ fingerprint, value, by }) => ({
        id: fingerprint,
        value,
        by,
      })),
    };
    out.result("alerts", document, () => formatAlerts(document, nowMs, out.style));
    return Promise.resolve(ExitCode.success);
  },
});
