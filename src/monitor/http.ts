// The daemon's two ports: /metrics on one, /healthz, /readyz and /status on the other. Read-only. On loopback no key
// is needed; elsewhere everything but /healthz needs the token. The Host header must name this host, so that a page
// in a browser cannot read us through a name of its own (DNS rebinding); nothing of ours allows other origins (CORS).

import type { Secret } from "../core/index.ts";
import { chooseFormat, contentTypes, type ExpositionFormat } from "../metrics/index.ts";
import { equalSecrets } from "../system/push-encoding.ts";

export interface HttpView {
  /** Why it is not alive: the loop is stuck; undefined: it is. */
  stuck(): string | undefined;
  /** What is missing before it is ready; empty: ready. */
  missing(): readonly string[];
  /** The status document, complete; undefined before the first sample. */
  status(): string | undefined;
  metrics(format: ExpositionFormat): string;
}

export interface HttpOptions {
  /** Address we listen on. */
  readonly bind: string;
  /** Names of this host. */
  readonly hostNames: readonly string[];
  readonly token: Secret | undefined;
}

type Route = (request: Request, view: HttpView) => Response;

const plainHeaders = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
};
const text = (status: number, body: string, more: Record<string, string> = {}) =>
  new Response(body, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", ...plainHeaders, ...more },
  });
const json = (status: number, body: string) =>
  new Response(body, { status, headers: { "content-type": "application/json", ...plainHeaders } });

/** Routes of the port for Prometheus. */
export const metricsRoutes: Readonly<Record<string, Route>> = {
  "/metrics": (request, view) => {
    const format = chooseFormat(request.headers.get("accept"));
    return text(200, view.metrics(format), { "content-type": contentTypes[format] });
  },
};

/** Routes of the health port. */
export const healthRoutes: Readonly<Record<string, Route>> = {
  "/healthz": (_request, view) => {
    const stuck = view.stuck();
    return stuck === undefined ? text(200, "ok\n") : text(503, `${stuck}\n`);
  },
  "/readyz": (_request, view) => {
    const missing = view.missing();
    return missing.length === 0 ? text(200, "ok\n") : text(503, `not yet: ${missing.join(", ")}\n`);
  },
  "/status": (_request, view) => {
    const status = view.status();
    return status === undefined ? text(503, "not yet\n") : json(200, status);
  },
};

/** Answers one request. */
export function answerHttp(
  request: Request,
  routes: Readonly<Record<string, Route>>,
  view: HttpView,
  options: HttpOptions,
): Response {
  const { pathname } = new URL(request.url);
  const route = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined;
  const isOpen = pathname === "/healthz" || isLoopback(options.bind);
  const hasToken = carriesToken(request, options.token);
  // Who has the token is no page in a browser: names that only the caller knows (a Kubernetes service) pass.
  if (!hasToken && !namesThisHost(request.headers.get("host"), options))
    return text(421, "this is not the host that was asked for\n");
  if (!isOpen && !hasToken)
    return text(401, "a token is needed\n", { "www-authenticate": 'Bearer realm="citadel-agent"' });
  if (route === undefined) return text(404, "not found\n");
  if (request.method !== "GET" && request.method !== "HEAD")
    return text(405, "read-only\n", { allow: "GET, HEAD" });
  return route(request, view);
}

/** 127.0.0.0/8, ::1 and their name. */
export function isLoopback(host: string): boolean {
  return /^(?:127(?:\.\d{1,3}){3}|localhost|\[?::1\]?)$/i.test(host);
}

function carriesToken(request: Request, token: Secret | undefined): boolean {
  const given = /^Bearer (.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  return given !== undefined && token !== undefined && equalSecrets(given, token.reveal());
}

/** An address (no name can be rebound to it by others) or a name of this host; on loopback only loopback. */
export function namesThisHost(header: string | null, { bind, hostNames }: HttpOptions): boolean {
  if (header === null) return false;
  const name = header.replace(/:\d{1,5}$/, "").toLowerCase();
  if (isLoopback(name)) return true;
  if (isLoopback(bind)) return false;
  const isAddress = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/.test(name);
  return isAddress || [bind, ...hostNames].some((known) => known.toLowerCase() === name);
}
