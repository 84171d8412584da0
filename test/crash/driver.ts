// A process of its own that applies one scenario's plan with the engine, to be killed.
// Usage: bun driver.ts ROOT STATE_DIR RUNTIME_DIR DATA SCENARIO

import { absolutePath, CitadelError, exitCodeOf } from "../../src/core/index.ts";
import { openEngine } from "../../src/transaction/index.ts";
import { engineOptionsFor, planOf } from "../support/engine.ts";
import { scenarios, type ScenarioName } from "../support/scenarios.ts";

const [root = "", stateDir = "", runtimeDir = "", data = "", scenario = ""] = process.argv.slice(2);
using engine = openEngine(
  engineOptionsFor(absolutePath(root), {
    stateDir: absolutePath(stateDir),
    runtimeDir: absolutePath(runtimeDir),
  }),
);
try {
  const report = await engine.change({
    command: `apply ${scenario}`,
    lockTimeoutMs: 10_000,
    plan: () => planOf(scenarios[scenario as ScenarioName].operations(absolutePath(data))),
  });
  console.log(
    JSON.stringify({
      outcome: report.outcome,
      fallback: report.fallback,
      unfinished: report.unfinished ?? null,
    }),
  );
} catch (thrown) {
  const { code, message, path, details } = thrown as CitadelError;
  console.log(JSON.stringify({ code, message, path, details }));
  process.exitCode = exitCodeOf(thrown);
}
