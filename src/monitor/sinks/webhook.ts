// The webhook: one request per alert transition, a JSON body that chat programs show (`text` for Slack, Mattermost
// and Rocket.Chat, `content` for Discord) and that programs read (`transition`).

import type { Secret } from "../../core/index.ts";
import type { HttpClient } from "../../system/http-client.ts";
import type { QueueSink } from "../delivery.ts";
import { assertAccepted } from "./answer.ts";
import { transitionEntry, type TransitionEntry } from "./transition.ts";

export interface WebhookSinkOptions {
  readonly url: Secret;
  readonly host: string;
  readonly client: HttpClient;
  readonly clock: { nowMs(): number };
}

const timeoutMs = 15_000;

export function createWebhookSink({ url, host, client, clock }: WebhookSinkOptions): QueueSink {
  return {
    name: "webhook",
    batch: 1,
    async deliver(messages, signal) {
      for (const message of messages) {
        const entry = transitionEntry(message);
        const answer = await client.send({
          method: "POST",
          url: url.reveal(),
          headers: { "content-type": "application/json", "idempotency-key": entry.id },
          body: JSON.stringify(webhookBody(host, entry)),
          timeoutMs,
          signal,
        });
        assertAccepted(answer, "the webhook", clock.nowMs());
      }
    },
  };
}

/** The template: a line for people, the facts for programs. */
export function webhookBody(host: string, transition: TransitionEntry) {
  const { alert, kind, collapsed } = transition;
  const headline = kind === "resolved" ? "resolved" : alert.severity;
  const left = collapsed === 0 ? "" : ` (${collapsed} changes in between were left out)`;
  const advice = kind === "resolved" ? "" : `\n${alert.advice}`;
  const text = `[${headline}] ${host}: ${alert.summary}${left}${advice}`;
  return {
    schema: "citadel.alert-transition/1",
    host,
    time: transition.at,
    status: kind === "resolved" ? "resolved" : "firing",
    text,
    content: text,
    transition,
  };
}
