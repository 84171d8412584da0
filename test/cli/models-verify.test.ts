import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { createHostTree } from "../support/host-tree.ts";
import { runCli } from "../support/run-cli.ts";

interface Report {
  readonly models: readonly { name: string; state: string; bytes: number; files: number }[];
  readonly total: number;
  readonly bytes: number;
  readonly free_bytes: number | null;
}

describe("models verify --quick", () => {
  test("lists the configured models with sizes and count; a missing one is exit 3", async () => {
    using tree = createHostTree({});
    const active = "mnt/citadel-models/active";
    mkdirSync(`${tree.root}/${active}/Yi-34B-Chat`, { recursive: true });
    tree.write(`${active}/Yi-34B-Chat/config.json`, "{}");
    tree.write(`${active}/Yi-34B-Chat/broken.safetensors`, "short");
    const all = await runCli(["--root", tree.root, "models", "verify", "--quick", "--json"]);
    expect(all.exitCode).toBe(3);
    const report = all.json<Report>();
    expect(report.total).toBe(7);
    expect(report.bytes).toBe(7);
    expect(report.free_bytes).toBeGreaterThan(0);
    expect(report.models.find(({ name }) => name === "yi-34b-chat")?.state).toBe("damaged");
    expect(report.models.filter(({ state }) => state === "missing")).toHaveLength(6);

    const one = await runCli(["--root", tree.root, "models", "verify", "yi34b"]);
    expect(one.stdout).toContain("broken.safetensors: truncated: 5 bytes");
    const path = await runCli([
      "--root",
      tree.root,
      "models",
      "verify",
      "/mnt/citadel-models/active/Yi-34B-Chat",
      "--json",
    ]);
    expect(path.json<Report>().total).toBe(1);
    const free = report.free_bytes ?? 0;
    expect(one.stderr.includes("less than 100 GiB free")).toBe(free < 100 * 1024 ** 3);
  });

  test("refuses what it cannot do, and names it", async () => {
    const unknown = await runCli(["models", "verify", "nobody", "--json"]);
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stdout).toContain("MODEL_UNKNOWN");
    const full = await runCli(["models", "verify", "--full", "--json"]);
    expect(full.exitCode).toBe(1);
    expect(full.stdout).toContain("NOT_IN_THIS_BUILD");
  });
});
