// A dead man's switch: an address that is asked as long as the loop turns; whoever watches it raises the alarm when
// the asking stops.

import type { Secret } from "../../core/index.ts";
import type { HttpClient } from "../../system/http-client.ts";
import type { StateSink } from "../delivery.ts";
import { assertAccepted } from "./answer.ts";

export interface PingSinkOptions {
  readonly url: Secret;
  readonly client: HttpClient;
  readonly clock: { nowMs(): number };
  readonly intervalS: number;
  /** Whether the last round was a good one. */
  readonly isTurning: () => boolean;
}

const timeoutMs = 10_000;

export function createPingSink(options: PingSinkOptions): StateSink {
  return {
    name: "ping",
    intervalS: options.intervalS,
    async send(signal) {
      if (!options.isTurning()) return;
      const url = options.url.reveal();
      const answer = await options.client.send({ method: "GET", url, timeoutMs, signal });
      assertAccepted(answer, "the ping address", options.clock.nowMs());
    },
  };
}
