// Doctor's checks of what the agent itself keeps: its databases, its lock, its service.

import { CitadelError, messageOf, nameOf, type AbsolutePath } from "../core/index.ts";
import { runProcess } from "../system/index.ts";
import { databaseExists, openDatabaseForReading } from "../system/database.ts";
import type { SqliteDatabase } from "../system/database.ts";
import type { CheckResult, DoctorCheck } from "./check.ts";

export interface KnownDatabase {
  readonly path: AbsolutePath;
  /** For messages: `journal`. */
  readonly name: string;
  readonly migrations: readonly ((database: SqliteDatabase) => void)[];
}

/** Whether each database can be read, is sound, and is of a version this binary writes. */
export function databasesCheck(databases: readonly KnownDatabase[]): DoctorCheck {
  return {
    id: "databases",
    name: "databases",
    run(): CheckResult {
      const present = databases.filter(({ path }) => databaseExists(path));
      if (present.length === 0) return { state: "not_applicable", found: "none yet" };
      const troubles = present.flatMap((database) => judge(database) ?? []);
      const [first] = troubles;
      if (first === undefined) {
        return { state: "ok", found: `${present.map(({ name }) => name).join(", ")}: sound` };
      }
      return {
        state: troubles.some(({ state }) => state === "failed") ? "failed" : first.state,
        found: troubles.map(({ found }) => found).join("; "),
        fix: first.fix,
      };
    },
  };
}

function judge({ path, name, migrations }: KnownDatabase): CheckResult | undefined {
  try {
    using database = openDatabaseForReading({ path, name, migrations });
    if (database === undefined) return undefined;
    const [row] = database.read("check", () =>
      database.handle.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").all(),
    );
    if (row?.quick_check !== "ok") {
      return damaged(`${name}: ${row?.quick_check ?? "no answer"}`);
    }
    if (!database.tooNew) return undefined;
    return {
      state: "failed",
      found: `${nameOf(path)} was written by a newer agent (version ${database.userVersion})`,
      fix: "install the newer binary again; this one may only read",
    };
  } catch (thrown) {
    if (thrown instanceof CitadelError && thrown.kind === "permission") {
      return { state: "unknown", found: `${nameOf(path)} may not be read by this user` };
    }
    return damaged(`${name}: ${messageOf(thrown)}`);
  }
}

function damaged(found: string): CheckResult {
  return {
    state: "failed",
    found,
    fix: "the next changing command sets the damaged file aside and begins a new one",
  };
}

const unitName = "citadel-agent.service";
const toolTimeoutMs = 3000;

/** Whether the daemon is installed, enabled and runs. Absent is a warning: nobody watches this host. */
export function unitCheck(): DoctorCheck {
  return {
    id: "unit",
    name: "service",
    async run(signal): Promise<CheckResult> {
      const command = [
        "systemctl",
        "show",
        unitName,
        "--property=LoadState,ActiveState,UnitFileState",
      ];
      const run = await runProcess(command, { timeoutMs: toolTimeoutMs, signal }).catch(
        (thrown: unknown) => {
          if (thrown instanceof CitadelError && thrown.code === "TOOL_MISSING") return undefined;
          throw thrown;
        },
      );
      if (run === undefined || run.exitCode !== 0) {
        return { state: "not_applicable", found: "no systemd runs here" };
      }
      const facts = new Map(
        run.stdout.split("\n").map((line) => line.split("=", 2) as [string, string]),
      );
      if (facts.get("LoadState") !== "loaded") {
        return {
          state: "warning",
          found: "not installed: nobody watches this host",
          fix: "citadel-agent service install",
        };
      }
      const active = facts.get("ActiveState");
      const enabled = facts.get("UnitFileState");
      if (active === "active" && enabled === "enabled") {
        return { state: "ok", found: "active, enabled" };
      }
      return {
        state: active === "failed" ? "failed" : "warning",
        found: `${active}, ${enabled === "" ? "not enabled" : enabled}`,
        fix: `systemctl enable --now ${unitName}; journalctl -u ${unitName} says why it stopped`,
      };
    },
  };
}
