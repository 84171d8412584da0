// A small HTTP listener for readers: GET and HEAD, no bodies, short deadlines. What it answers is the business of
// whoever opens it (src/monitor/http.ts).

import { CitadelError, messageOf } from "../core/index.ts";
import { isErrno } from "./errno.ts";

export interface HttpListener {
  readonly port: number;
  stop(): Promise<void>;
}

export interface ListenOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly answer: (request: Request) => Response | Promise<Response>;
}

const idleTimeoutS = 10;
const maxRequestBodyBytes = 1024;

/**
 * Listens until stopped.
 * @throws kind `unavailable`, code PORT_IN_USE; kind `io`, code LISTEN_FAILED (an address that is not ours)
 */
export function listenHttp({ host, port, answer }: ListenOptions): HttpListener {
  try {
    const server = Bun.serve({
      hostname: host.replace(/^\[|\]$/g, ""),
      port,
      idleTimeout: idleTimeoutS,
      maxRequestBodySize: maxRequestBodyBytes,
      development: false,
      fetch: answer,
      error: () => new Response("internal error\n", { status: 500 }),
    });
    return { port: server.port ?? port, stop: () => server.stop(true) };
  } catch (thrown) {
    const inUse = isErrno(thrown, "EADDRINUSE");
    throw new CitadelError({
      kind: inUse ? "unavailable" : "io",
      code: inUse ? "PORT_IN_USE" : "LISTEN_FAILED",
      message: inUse
        ? `port ${port} on ${host} is in use`
        : `cannot listen on ${host}:${port}: ${messageOf(thrown)}`,
      hint: "see who holds it with `citadel-agent doctor`, or choose another port",
      retry: "later",
      cause: thrown,
    });
  }
}
