// Requests that leave the process, through ofetch: TLS verified, with a private authority beside the public ones,
// a deadline, answers bounded in size, and redirects that never carry a secret to another origin nor to plain http.

import { readFileSync } from "node:fs";
import { rootCertificates } from "node:tls";
import { ofetch } from "ofetch";
import { CitadelError, messageOf } from "../core/index.ts";
import { withErrno } from "./errno.ts";

export interface HttpRequest {
  readonly method: "GET" | "POST" | "PUT";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Names of headers that stay at the first origin, beside `authorization` and `cookie`. */
  readonly secretHeaders?: readonly string[] | undefined;
  readonly body?: string | Uint8Array | undefined;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Cut at the client's limit, 64 KiB unless told otherwise. */
  readonly text: string;
}

export interface HttpClient {
  /** @throws kind `unavailable`: HTTP_UNREACHABLE, HTTP_TIMEOUT, HTTP_REDIRECT_REFUSED; any answer is returned */
  send(request: HttpRequest): Promise<HttpAnswer>;
}

const maxRedirects = 3;
const defaultAnswerLimitBytes = 64 * 1024;
const redirectStatus = new Set([301, 302, 303, 307, 308]);

/**
 * Creates a client.
 * @param caFile PEM certificates of a private authority, trusted beside the public ones
 */
export function createHttpClient(
  options: {
    readonly caFile?: string | undefined;
    readonly answerLimitBytes?: number | undefined;
  } = {},
): HttpClient {
  const { caFile } = options;
  const tls =
    caFile === undefined
      ? undefined
      : {
          ca: [...rootCertificates, withErrno("read", caFile, () => readFileSync(caFile, "utf8"))],
        };
  const limitBytes = options.answerLimitBytes ?? defaultAnswerLimitBytes;
  return { send: (request) => sendFollowing(request, { tls, limitBytes }) };
}

interface Connection {
  readonly tls: { readonly ca: string[] } | undefined;
  readonly limitBytes: number;
}

async function sendFollowing(request: HttpRequest, connection: Connection): Promise<HttpAnswer> {
  let current = request;
  for (let redirects = 0; ; redirects += 1) {
    const answer = await sendOnce(current, connection);
    const location = answer.headers.get("location");
    if (!redirectStatus.has(answer.status) || location === null) return answer;
    if (redirects >= maxRedirects) throw refused(request.url, "too many redirects");
    current = follow(current, answer.status, location);
  }
}

/** The next request of a redirect. */
function follow(request: HttpRequest, status: number, location: string): HttpRequest {
  const from = new URL(request.url);
  const to = URL.parse(location, request.url);
  if (to === null) throw refused(request.url, "a redirect to no address");
  if (to.protocol !== "https:" && to.protocol !== from.protocol)
    throw refused(request.url, `a redirect from ${from.protocol} to ${to.protocol}`);
  const keepsMethod = status === 307 || status === 308;
  if (request.method !== "GET" && !keepsMethod)
    throw refused(request.url, `answered ${status} to a ${request.method}`);
  if (to.origin === from.origin) return { ...request, url: to.href };
  // What we send is for the place that was named: only a plain GET goes elsewhere, without its secrets.
  if (request.method !== "GET")
    throw refused(request.url, `a redirect to another origin, ${to.origin}`);
  const secret = new Set(["authorization", "cookie", ...(request.secretHeaders ?? [])]);
  const headers = Object.fromEntries(
    Object.entries(request.headers ?? {}).filter(([name]) => !secret.has(name.toLowerCase())),
  );
  return { ...request, url: to.href, headers };
}

const refused = (url: string, why: string) =>
  new CitadelError({
    kind: "unavailable",
    code: "HTTP_REDIRECT_REFUSED",
    message: `${originOf(url)}: ${why}`,
    hint: "set the address that answers itself",
    retry: "later",
  });

/** Addresses may be keys in themselves: messages name their origin alone. */
function originOf(url: string): string {
  return URL.parse(url)?.origin ?? "the address";
}

async function sendOnce(
  request: HttpRequest,
  { tls, limitBytes }: Connection,
): Promise<HttpAnswer> {
  const deadline = AbortSignal.timeout(request.timeoutMs);
  const signals = request.signal === undefined ? [deadline] : [deadline, request.signal];
  try {
    const response = await ofetch.raw<unknown, "stream">(request.url, {
      method: request.method,
      headers: { "user-agent": "citadel-agent", ...request.headers },
      ...(request.body === undefined ? {} : { body: request.body as string }),
      signal: AbortSignal.any(signals),
      redirect: "manual",
      retry: false,
      responseType: "stream",
      ignoreResponseError: true,
      ...(tls === undefined ? {} : ({ tls } as object)),
    });
    const text = await readBounded(
      response._data as unknown as ReadableStream<Uint8Array> | null,
      limitBytes,
    );
    return { status: response.status, headers: response.headers, text };
  } catch (thrown) {
    const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
    throw new CitadelError({
      kind: "unavailable",
      code: deadline.aborted ? "HTTP_TIMEOUT" : "HTTP_UNREACHABLE",
      message: deadline.aborted
        ? `${originOf(request.url)}: no answer within ${request.timeoutMs / 1000} s`
        : `${originOf(request.url)}: ${reasonOf(cause, request.url)}`,
      hint: "see whether it runs and can be reached from this host; it is tried again",
      retry: "later",
      cause: thrown,
    });
  }
}

/** What the error says, without the address, which may hold a secret. */
function reasonOf(cause: unknown, url: string): string {
  const code = (cause as { code?: unknown } | null)?.code;
  if (code === "ConnectionRefused" || code === "ECONNREFUSED") return "connection refused";
  return messageOf(cause).replaceAll(url, originOf(url)).slice(0, 200);
}

async function readBounded(
  stream: ReadableStream<Uint8Array> | null | undefined,
  limitBytes: number,
): Promise<string> {
  if (stream === null || stream === undefined) return "";
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = stream.getReader();
  while (size < limitBytes) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.length;
  }
  await reader.cancel();
  return Buffer.concat(chunks).subarray(0, limitBytes).toString("utf8");
}
