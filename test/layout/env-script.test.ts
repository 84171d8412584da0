// The environment script as real shells read it: every value arrives as it is, nothing is printed, `set -eu` holds.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { modelVariableName } from "../../src/core/index.ts";
import { environmentValues, formatFishScript, formatShScript } from "../../src/layout/index.ts";
import { defaultOptions, desiredOf } from "../support/layout-world.ts";

const odd = `/srv/it's "a" $HOME \`id\` \\ * ~ ; & | \n second line \t é`;

function source(shell: string, script: string, name: string): { out: string; code: number } {
  const folder = mkdtempSync(`${tmpdir()}/citadel-env-`);
  const path = `${folder}/env.sh`;
  writeFileSync(path, script);
  const words =
    shell === "fish"
      ? ["fish", "--no-config", "-c", `source '${path}'; printf %s "$${name}"`]
      : [shell, "-eu", "-c", `. '${path}'; printf %s "$${name}"`];
  const run = Bun.spawnSync(words, { env: { PATH: "/usr/bin:/bin", LC_ALL: "C.UTF-8" } });
  rmSync(folder, { recursive: true });
  return { out: run.stdout.toString() + run.stderr.toString(), code: run.exitCode };
}

describe("the environment script", () => {
  const { paths } = defaultOptions();
  const choice = (alias: string) => ({ alias, directory: "x", origin: "settings" as const });
  const values = environmentValues({ ...paths, hfCache: odd }, [choice("yi-34b.chat")], () => odd);

  test("has exactly the names of the specification, each once", () => {
    const names = Object.keys(desiredOf(defaultOptions({ convenienceLinks: {} })).environment);
    expect(names).toHaveLength(20); // 13 paths, staging, 5 caches, CITADEL_ENV_ID
    const script = formatShScript(values);
    const exported = [...script.matchAll(/^export ([A-Z0-9_]+)=/gm)].map(([, name]) => name);
    expect(exported).toEqual(Object.keys(values));
    expect(new Set(exported).size).toBe(exported.length);
    expect(exported).toContain("HUGGINGFACE_HUB_CACHE");
    expect(exported).toContain("CITADEL_MODEL_YI_34B_CHAT");
  });

  for (const shell of ["bash", "dash", "sh", "fish"]) {
    const missing = Bun.which(shell) === null;
    if (missing) console.log(`skipped: ${shell} is not installed here`);
    test.skipIf(missing)(`arrives unharmed in ${shell} under set -eu, and prints nothing`, () => {
      const script = shell === "fish" ? formatFishScript(values) : formatShScript(values);
      expect(source(shell, script, "CITADEL_MODEL_YI_34B_CHAT")).toEqual({ out: odd, code: 0 });
      expect(source(shell, script, "HF_HOME")).toEqual({ out: odd, code: 0 });
    });
  }

  test("maps what a variable name cannot hold, and refuses two aliases that become one name", () => {
    expect(modelVariableName("phi-3.mini 128k")).toBe("CITADEL_MODEL_PHI_3_MINI_128K");
    const twins = [choice("a-b"), choice("a.b")];
    expect(() => environmentValues(paths, twins, () => "/x")).toThrow(/CITADEL_MODEL_A_B/);
  });

  test("has an id that follows the values, not their order", () => {
    const other = environmentValues({ ...paths, modelsRoot: "/elsewhere" }, [], () => "/x");
    const same = environmentValues({ ...paths, modelsRoot: "/elsewhere" }, [], () => "/x");
    expect(other["CITADEL_ENV_ID"]).toBe(same["CITADEL_ENV_ID"] as string);
    expect(other["CITADEL_ENV_ID"]).not.toBe(values["CITADEL_ENV_ID"] as string);
  });
});
