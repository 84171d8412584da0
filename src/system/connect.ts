// Whether a port answers, within a deadline. Looks only: sends nothing over TCP, reads at most the status over HTTP.

export interface ConnectResult {
  readonly connected: boolean;
  readonly durationMs: number;
  /** Why not: `connection refused`, `no answer within 3 s`. Empty when connected. */
  readonly reason: string;
}

export interface Connector {
  tryConnect(
    host: string,
    port: number,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<ConnectResult>;
  /** The HTTP status of a GET; null without an answer. Redirects are not followed. */
  getStatus(url: string, timeoutMs: number, signal: AbortSignal): Promise<number | null>;
}

export const systemConnector: Connector = {
  tryConnect(host, port, timeoutMs, signal) {
    const startedMs = performance.now();
    return new Promise((resolve) => {
      let settled = false;
      const settle = (reason: string, socket?: { end(): unknown }) => {
        socket?.end();
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        signal.removeEventListener("abort", cancelled);
        const durationMs = performance.now() - startedMs;
        resolve({ connected: reason === "", durationMs, reason });
      };
      const cancelled = () => settle("cut off");
      const timer = setTimeout(() => settle(`no answer within ${timeoutMs / 1000} s`), timeoutMs);
      signal.addEventListener("abort", cancelled, { once: true });
      if (signal.aborted) return cancelled();
      Bun.connect({
        hostname: host,
        port,
        socket: {
          open: (socket) => settle("", socket),
          connectError: (_socket, error) => settle(reasonOf(error)),
          data: () => {},
          error: () => {},
        },
      }).catch((error: unknown) => settle(reasonOf(error)));
    });
  },
  async getStatus(url, timeoutMs, signal) {
    try {
      const response = await fetch(url, {
        redirect: "manual",
        keepalive: false,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
      await response.body?.cancel();
      return response.status;
    } catch {
      return null; // refused, cut off, not HTTP: there is no status
    }
  },
};

function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "ECONNREFUSED" ? "connection refused" : String(code ?? error).slice(0, 100);
}
