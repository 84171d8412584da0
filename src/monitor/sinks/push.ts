// The status push: the `status` document to an address of the operator, with the alert transitions since the last
// one that arrived. docs/formats/push.md is for who receives it.

import type { Secret } from "../../core/index.ts";
import type { HttpClient } from "../../system/http-client.ts";
import { gzip, signHmacSha256 } from "../../system/push-encoding.ts";
import type { QueueSink } from "../delivery.ts";
import type { OutboxMessage } from "../outbox.ts";
import { assertAccepted } from "./answer.ts";
import { transitionEntry } from "./transition.ts";

export interface PushSinkOptions {
  readonly url: string;
  readonly token: Secret | undefined;
  readonly hmacSecret: Secret | undefined;
  readonly client: HttpClient;
  readonly clock: { nowMs(): number };
  /** The document as it is now, with envelope; transitions are added to it. */
  readonly status: () => Readonly<Record<string, unknown>>;
  /** Tells this database's message numbers from another's. */
  readonly identity: () => string;
}

const timeoutMs = 30_000;
const batch = 200;

export function createPushSink(options: PushSinkOptions): QueueSink {
  return {
    name: "push",
    batch,
    async deliver(messages, signal) {
      const { client, clock } = options;
      const body = gzip(JSON.stringify(pushDocument(messages, options.status())));
      const nowS = Math.floor(clock.nowMs() / 1000);
      const headers: Record<string, string> = {
        "content-type": "application/json",
        "content-encoding": "gzip",
        "idempotency-key": idempotencyKey(messages, options.identity()),
      };
      if (options.token !== undefined)
        headers["authorization"] = `Bearer ${options.token.reveal()}`;
      if (options.hmacSecret !== undefined) {
        headers["x-citadel-timestamp"] = String(nowS);
        const signed = Buffer.concat([Buffer.from(`${nowS}.`), body]);
        headers["x-citadel-signature"] =
          `sha256=${signHmacSha256(options.hmacSecret.reveal(), signed)}`;
      }
      const answer = await client.send({
        method: "POST",
        url: options.url,
        headers,
        secretHeaders: ["x-citadel-signature"],
        body,
        timeoutMs,
        signal,
      });
      // 409: a receiver that keeps keys has this one already.
      if (answer.status !== 409) assertAccepted(answer, "the push address", clock.nowMs());
    },
  };
}

/** Queued statuses are sent as they were; a request that carries transitions alone has the present status. */
export function pushDocument(
  messages: readonly OutboxMessage[],
  present: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const statuses = messages.filter(({ kind }) => kind === "status");
  const newest = statuses.at(-1);
  const document =
    newest === undefined ? present : (JSON.parse(newest.body) as Record<string, unknown>);
  return {
    ...document,
    transitions: messages.filter(({ kind }) => kind === "alert").map(transitionEntry),
  };
}

/** The same messages, the same key: a receiver can drop what it has. */
function idempotencyKey(messages: readonly OutboxMessage[], identity: string): string {
  const ids = messages.map(({ id }) => id).join(",");
  return (
    Bun.hash.xxHash3(`${identity}:${ids}`).toString(16).padStart(16, "0") +
    `-${messages[0]?.id ?? 0}`
  );
}
