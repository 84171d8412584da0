// One sink's delivery: takes the oldest messages, sends them, forgets them when they arrived; waits longer after
// each failure, with jitter. Nothing is given up: what a sink refuses stays at the head until it is taken.

import { CitadelError, messageOf } from "../core/index.ts";
import type { Clock } from "../system/index.ts";
import type { OutboxMessage } from "./outbox.ts";

/** What a queueing sink does with messages: all of them arrive or none. */
export interface QueueSink {
  readonly name: string;
  /** Messages per request at most. */
  readonly batch: number;
  /** @throws anything: they are sent again */
  deliver(messages: readonly OutboxMessage[], signal: AbortSignal): Promise<void>;
}

/** A sink that always sends the present state: nothing is queued for it. */
export interface StateSink {
  readonly name: string;
  readonly intervalS: number;
  /** @throws anything: it is tried again, at the latest after its interval */
  send(signal: AbortSignal): Promise<void>;
}

/** What is known of a sink. */
export interface SinkState {
  readonly name: string;
  readonly deliveries: number;
  readonly failures: number;
  readonly failingSinceMs: number | null;
  readonly lastError: string | null;
  readonly lastSuccessMs: number | null;
}

/** Where a queueing sink's messages come from. */
export interface Queue {
  head(sink: string, limit: number): readonly OutboxMessage[];
  remove(sink: string, upToId: number): void;
}

export interface Delivery {
  run(signal: AbortSignal): Promise<void>;
  /** There may be something to send. */
  wake(): void;
  state(): SinkState;
}

export interface DeliveryOptions {
  readonly clock: Clock;
  /** 0..1, for the jitter. */
  readonly random: () => number;
  readonly onFailure?: ((sink: string, message: string) => void) | undefined;
  readonly onRecovery?: ((sink: string) => void) | undefined;
}

const firstWaitMs = 1000;
const longestWaitMs = 300_000;
/** A queue is looked at this often even when nobody woke it: messages of before a restart, a database that is back. */
const idleMs = 30_000;
/** What a server may ask us to wait at most. */
const longestAskedMs = 3600_000;

/** Exponential, with equal jitter: between half of it and all of it. @param failures in a row, from 1 */
export function backoffMs(failures: number, random: number, limitMs = longestWaitMs): number {
  const fullMs = Math.min(limitMs, firstWaitMs * 2 ** Math.min(failures - 1, 20));
  return fullMs / 2 + (fullMs / 2) * random;
}

/** Delivers the messages of a queue, in order. */
export function createQueueDelivery(
  sink: QueueSink,
  queue: Queue,
  options: DeliveryOptions,
): Delivery {
  let batch = sink.batch;
  const rhythm = { restMs: idleMs, longestMs: longestWaitMs, queueing: true };
  return createDelivery(sink.name, rhythm, options, async (signal) => {
    const messages = queue.head(sink.name, batch);
    const last = messages.at(-1);
    if (last === undefined) return "idle";
    try {
      await sink.deliver(messages, signal);
    } catch (thrown) {
      // Too much at once, for whatever reason: ever less, so that one bad message does not hold up a hundred.
      batch = Math.max(1, Math.floor(messages.length / 2));
      throw thrown;
    }
    batch = Math.min(sink.batch, batch * 2);
    queue.remove(sink.name, last.id);
    return "more";
  });
}

/** Sends the present state, again and again. */
export function createStateDelivery(sink: StateSink, options: DeliveryOptions): Delivery {
  const intervalMs = sink.intervalS * 1000;
  const rhythm = { restMs: intervalMs, longestMs: intervalMs, queueing: false };
  return createDelivery(sink.name, rhythm, options, async (signal) => {
    await sink.send(signal);
    return "idle";
  });
}

interface Rhythm {
  /** Wait after a success. */
  readonly restMs: number;
  /** Longest wait after a failure. */
  readonly longestMs: number;
  /** Nothing to send is no success. */
  readonly queueing: boolean;
}

function createDelivery(
  name: string,
  { restMs, longestMs, queueing }: Rhythm,
  options: DeliveryOptions,
  attempt: (signal: AbortSignal) => Promise<"idle" | "more">,
): Delivery {
  const { clock, random } = options;
  let waker = new AbortController();
  let failed = 0;
  let state: SinkState = {
    name,
    deliveries: 0,
    failures: 0,
    failingSinceMs: null,
    lastError: null,
    lastSuccessMs: null,
  };
  const succeed = (outcome: "idle" | "more") => {
    if (outcome === "idle" && queueing) return;
    if (failed > 0) options.onRecovery?.(name);
    failed = 0;
    state = {
      ...state,
      deliveries: state.deliveries + 1,
      failingSinceMs: null,
      lastError: null,
      lastSuccessMs: clock.nowMs(),
    };
  };
  const fail = (thrown: unknown): number => {
    failed += 1;
    const message = messageOf(thrown).slice(0, 300);
    if (failed === 1) options.onFailure?.(name, message);
    state = {
      ...state,
      failures: state.failures + 1,
      failingSinceMs: state.failingSinceMs ?? clock.nowMs(),
      lastError: message,
    };
    return Math.max(backoffMs(failed, random(), longestMs), askedWaitMs(thrown));
  };
  return {
    state: () => state,
    wake: () => waker.abort(),
    async run(signal) {
      while (!signal.aborted) {
        waker = new AbortController();
        try {
          const outcome = await attempt(signal);
          succeed(outcome);
          if (outcome === "more") continue;
        } catch (thrown) {
          if (signal.aborted) return;
          const waitMs = fail(thrown);
          // A wake-up does not shorten the wait after a failure: that would be a retry for every alert.
          await clock.sleep(waitMs, signal);
          continue;
        }
        await clock.sleep(restMs, AbortSignal.any([signal, waker.signal]));
      }
    },
  };
}

function askedWaitMs(thrown: unknown): number {
  if (!(thrown instanceof CitadelError)) return 0;
  const asked = thrown.details["retryAfterMs"];
  return typeof asked === "number" && asked > 0 ? Math.min(asked, longestAskedMs) : 0;
}
