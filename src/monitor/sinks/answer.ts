// What an answer means to a sink: 2xx arrived, everything else did not.

import { CitadelError } from "../../core/index.ts";
import type { HttpAnswer } from "../../system/http-client.ts";

/** @throws kind `unavailable` or `rate-limited`, with the wait the server asked for in `retryAfterMs` */
export function assertAccepted(answer: HttpAnswer, what: string, nowMs: number): void {
  const { status } = answer;
  if (status >= 200 && status < 300) return;
  const said = answer.text.trim().replaceAll(/\s+/g, " ").slice(0, 150);
  throw new CitadelError({
    kind: status === 429 ? "rate-limited" : "unavailable",
    code: "SINK_REFUSED",
    message: `${what} answered ${status}${said === "" ? "" : `: ${said}`}`,
    hint: "see the address and the token in the settings; it is sent again",
    retry: "later",
    details: { status, retryAfterMs: retryAfterMs(answer.headers.get("retry-after"), nowMs) },
  });
}

/** Retry-After: seconds or a date (RFC 9110, 10.2.3). */
function retryAfterMs(value: string | null, nowMs: number): number {
  if (value === null) return 0;
  if (/^\d{1,6}$/.test(value)) return Number(value) * 1000;
  const atMs = Date.parse(value);
  return Number.isNaN(atMs) ? 0 : Math.max(0, atMs - nowMs);
}
