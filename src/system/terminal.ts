// The standard streams: synchronous writes that survive a full pipe and a closed reader, the width of a terminal,
// a question to a person. Nothing else in the agent writes to file descriptors 1 and 2.

import { writeSync } from "node:fs";
import { isErrno } from "./errno.ts";

const retryWaitMs = 5;
const sleepCell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Writes everything to standard output (1) or standard error (2); waits while a pipe is full, as any program does.
 * @returns false when nobody reads any more (EPIPE: `| head`) or the stream is closed (EBADF)
 * @throws the system's error otherwise: a full disk behind `> file` must not pass for success
 */
export function writeStream(fd: 1 | 2, content: string | Uint8Array): boolean {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  let offset = 0;
  while (offset < bytes.length) {
    try {
      offset += writeSync(fd, bytes, offset);
    } catch (thrown) {
      if (isErrno(thrown, "EPIPE", "EBADF", "EIO")) return false; // EIO: the terminal hung up
      if (!isErrno(thrown, "EAGAIN", "EINTR")) throw thrown;
      Atomics.wait(sleepCell, 0, 0, retryWaitMs); // the pipe is non-blocking and full
    }
  }
  return true;
}

/** Columns of the terminal behind a stream; 80 where it does not say. */
export function terminalColumns(stream: "stdout" | "stderr" = "stderr"): number {
  const columns = process[stream].columns ?? 0;
  return columns > 0 ? columns : 80;
}

const maxLineBytes = 4096;

/**
 * Reads one line from standard input without blocking the process: signals are still heard.
 * @returns undefined at the end of input or when `signal` aborts
 */
export async function readLine(signal: AbortSignal): Promise<string | undefined> {
  const input = process.stdin;
  return await new Promise((resolve) => {
    let text = "";
    const finish = (line: string | undefined) => {
      input.off("data", onData);
      input.off("end", onEnd);
      signal.removeEventListener("abort", onEnd);
      input.pause();
      input.unref?.();
      resolve(line);
    };
    const onEnd = () => finish(undefined);
    const onData = (chunk: Buffer) => {
      text += chunk.toString("utf8");
      const end = text.indexOf("\n");
      if (end !== -1) finish(text.slice(0, end));
      else if (text.length > maxLineBytes) finish(undefined);
    };
    if (signal.aborted) return resolve(undefined);
    signal.addEventListener("abort", onEnd, { once: true });
    input.on("data", onData);
    input.on("end", onEnd);
    input.resume();
  });
}

/** Moves to the top of the terminal and clears what is below; what was scrolled away stays (ECMA-48 CUP, ED). */
export function clearScreen(): void {
  writeStream(1, "\x1b[H\x1b[J");
}
