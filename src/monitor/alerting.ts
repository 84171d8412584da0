// One evaluation in the daemon: samples to findings to alerts to messages, in ONE transaction over history.db, so that
// an alert and what is sent about it are told together or not at all. `alerts ack` and `alerts silence` of another
// process are seen because the state is read inside that transaction. Where the history cannot be used, the alerts
// live on in this process.

import type { OpenDatabase } from "../system/database.ts";
import {
  advanceAlerts,
  type Acceptance,
  type Alert,
  type AlertTransition,
  type Silence,
} from "./alert.ts";
import { createRuleContext, evaluateRules, withFindings } from "./evaluate.ts";
import type { History } from "./history.ts";
import type { AnyRule, Thresholds } from "./rule.ts";
import type { Sample } from "./sample.ts";

export interface AlertingOptions {
  readonly history: History;
  readonly rules: readonly AnyRule[];
  readonly thresholds: Thresholds;
  /** What this process knows already, where the history may not (a reload while it cannot be written). */
  readonly initial?: readonly Alert[] | undefined;
  /**
   * Puts messages into the outbox; runs inside the transaction that stores the alerts.
   * Silenced alerts are among the transitions: the sinks decide by `silences`.
   */
  readonly enqueue?:
    | ((
        database: OpenDatabase,
        told: readonly AlertTransition[],
        silences: readonly Silence[],
        alerts: readonly Alert[],
      ) => void)
    | undefined;
}

export interface AlertingResult<S extends Sample> {
  /** The samples with their findings and states. */
  readonly samples: readonly S[];
  /** Pending and firing alerts after it. */
  readonly alerts: readonly Alert[];
  readonly transitions: readonly AlertTransition[];
  /** Committed, messages included; false: the history could not be written, and this process alone knows. */
  readonly stored: boolean;
}

export interface Alerting {
  /** Judges samples that were taken just now. Never throws for want of a database. */
  evaluate<S extends Sample>(samples: readonly S[], nowMs: number): AlertingResult<S>;
  /** Pending and firing alerts as of the last evaluation. */
  readonly alerts: readonly Alert[];
}

/** Creates the evaluator of a daemon; its first state comes from the history. */
export function createAlerting(options: AlertingOptions): Alerting {
  const { history, rules, thresholds } = options;
  let alerts = options.initial ?? history.alerts((store) => store.active()) ?? [];
  /** The history missed changes: what is in this process is newer. */
  let isAhead = options.initial !== undefined;

  const judge = <S extends Sample>(
    samples: readonly S[],
    nowMs: number,
    previous: readonly Alert[],
    acceptances: ReadonlyMap<string, Acceptance>,
  ) => {
    const context = createRuleContext(thresholds, previous, nowMs);
    const evaluation = evaluateRules(samples, rules, context);
    const advanced = advanceAlerts(previous, evaluation, nowMs, acceptances);
    const judged = samples.map((sample) => {
      const own = evaluateRules([sample], rules, context).findings;
      return withFindings(sample, own, acceptances) as S;
    });
    return { advanced, judged };
  };

  return {
    get alerts() {
      return alerts;
    },
    evaluate(samples, nowMs) {
      const stored = history.transaction("record alerts", (database, store) => {
        const previous = isAhead ? alerts : store.active();
        const result = judge(samples, nowMs, previous, store.acceptances());
        if (isAhead) store.replaceActive(result.advanced.alerts);
        else store.save(result.advanced);
        const { transitions, alerts: now } = result.advanced;
        options.enqueue?.(database, transitions, store.silences(nowMs), now);
        return result;
      });
      isAhead = stored === undefined;
      const { advanced, judged } = stored ?? judge(samples, nowMs, alerts, new Map());
      alerts = advanced.alerts.filter((alert) => alert.state !== "resolved");
      const { transitions } = advanced;
      return { samples: judged, alerts, transitions, stored: stored !== undefined };
    },
  };
}
