// The Pushgateway, for hosts that nobody can scrape: the whole exposition replaces the former one of this host.
// https://github.com/prometheus/pushgateway#put-method

import type { HttpClient } from "../../system/http-client.ts";
import type { StateSink } from "../delivery.ts";
import { assertAccepted } from "./answer.ts";

export interface PushgatewaySinkOptions {
  readonly url: string;
  readonly host: string;
  readonly client: HttpClient;
  readonly clock: { nowMs(): number };
  readonly intervalS: number;
  /** The text of /metrics. */
  readonly metrics: () => string;
}

const timeoutMs = 15_000;

export function createPushgatewaySink(options: PushgatewaySinkOptions): StateSink {
  const base = options.url.replace(/\/+$/, "");
  const url = `${base}/metrics/job/citadel-agent/instance/${encodeURIComponent(options.host)}`;
  return {
    name: "pushgateway",
    intervalS: options.intervalS,
    async send(signal) {
      const answer = await options.client.send({
        method: "PUT",
        url,
        headers: { "content-type": "text/plain; version=0.0.4" },
        body: options.metrics(),
        timeoutMs,
        signal,
      });
      assertAccepted(answer, "the Pushgateway", options.clock.nowMs());
    },
  };
}
