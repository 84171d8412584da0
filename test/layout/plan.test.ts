// The planner alone, on worlds in memory: what it plans for every kind of damage, and what it refuses.

import { describe, expect, test } from "bun:test";
import type { AbsolutePath } from "../../src/core/index.ts";
import type { StorageRoot } from "../../src/layout/index.ts";
import {
  agent,
  applyStep,
  defaultOptions,
  desiredOf,
  directory,
  file,
  freshWorld,
  historyOf,
  link,
  planOn,
  type World,
} from "../support/layout-world.ts";

function ready(): World {
  const world = freshWorld();
  for (const step of planOn(world).plan.operations) applyStep(world, step);
  return world;
}

const steps = (world: World, options: Parameters<typeof planOn>[1] = {}) =>
  planOn(world, options).plan.operations.map(({ op, path }) => `${op} ${path}`);

const convenience = "/opt/citadel/model-links/mixtral";
const active = "/mnt/citadel-models/active";

describe("planLayout", () => {
  test("plans everything on a fresh host, parents before children, and nothing once it is applied", () => {
    const world = freshWorld();
    const { plan } = planOn(world);
    expect(plan.conflicts).toEqual([]);
    for (const step of plan.operations) applyStep(world, step);
    expect(world.get("/opt/citadel/models")).toEqual(link(active, 1000, 1000));
    expect(world.get("/home/agent0/.cache/torch")).toMatchObject({ type: "link" });
    expect(world.get("/opt/citadel/logs")).toMatchObject({ mode: 0o775 });
    expect(world.get("/mnt/citadel-models")).toMatchObject({ uid: 1000 });
    const again = planOn(world).plan;
    expect(again.operations).toEqual([]);
    expect(again.unchanged).toBeGreaterThan(30);
  });

  test("gives the same plan for the same host", () => {
    expect(planOn(freshWorld()).plan).toEqual(planOn(freshWorld()).plan);
  });

  const damages: [string, (world: World) => void, string[]][] = [
    ["a missing link", (w) => w.delete(convenience), [`create_link ${convenience}`]],
    ["a broken link", (w) => w.set(convenience, link("/gone")), [`replace_link ${convenience}`]],
    ["a loop", (w) => w.set(convenience, link("mixtral")), [`replace_link ${convenience}`]],
    [
      "a link of another owner",
      (w) => w.set(convenience, link(`${active}/Mixtral-8x7B`, 7, 7)),
      [`set_owner ${convenience}`],
    ],
    [
      "a missing directory",
      (w) => w.delete("/mnt/citadel-backup/system/snapshots"),
      ["make_dir /mnt/citadel-backup/system/snapshots"],
    ],
    [
      "a wrong mode",
      (w) => w.set("/opt/citadel/logs", directory(0o700, 1000, 1000)),
      ["set_mode /opt/citadel/logs"],
    ],
    [
      "a wrong owner",
      (w) => w.set("/opt/citadel/tmp", directory(0o775, 5, 5)),
      ["set_owner /opt/citadel/tmp"],
    ],
    [
      "a leftover",
      (w) => w.set("/opt/citadel/.citadel-agent.0123456789abcdef01234567.tmp", link("/x")),
      ["remove_leftover /opt/citadel/.citadel-agent.0123456789abcdef01234567.tmp"],
    ],
    [
      "a stale environment script",
      (w) =>
        w.set(
          "/opt/citadel/configs/storage-env.sh",
          file("# Written by citadel-agent: changes are lost.\nold"),
        ),
      ["write_file /opt/citadel/configs/storage-env.sh"],
    ],
    [
      "a model directory that vanished",
      (w) => w.delete(`${active}/Yi-34B`),
      [`make_dir ${active}/Yi-34B`],
    ],
  ];
  for (const [name, harm, expected] of damages) {
    test(`mends ${name}, and is empty afterwards`, () => {
      const world = ready();
      harm(world);
      const { plan, remainders } = planOn(world, { manner: "mend" });
      expect(plan.operations.map(({ op, path }) => `${op} ${path}`)).toEqual(expected);
      expect(remainders).toEqual([]);
      for (const step of plan.operations) applyStep(world, step);
      expect(steps(world)).toEqual([]);
    });
  }

  test("takes a relative link to the right place for right", () => {
    const world = ready();
    world.set(convenience, link("../../../mnt/citadel-models/active/Mixtral-8x7B", 1000, 1000));
    expect(steps(world)).toEqual([]);
  });

  test("refuses a foreign link that leads somewhere, and replaces it with force", () => {
    const world = ready();
    world.set("/srv", directory());
    world.set(convenience, link("/srv"));
    const refused = planOn(world).plan;
    expect(refused.conflicts).toMatchObject([{ path: convenience, code: "LINK_FOREIGN" }]);
    const mended = planOn(world, { manner: "mend" });
    expect(mended.plan.conflicts).toEqual([]);
    expect(mended.remainders).toMatchObject([{ path: convenience, state: "foreign" }]);
    expect(steps(world, { force: true })).toEqual([`replace_link ${convenience}`]);
  });

  test("replaces a link of its own that an older layout made, without force", () => {
    const world = ready();
    world.set("/srv", directory());
    world.set(convenience, link("/srv"));
    const history = historyOf({ [convenience]: ["/srv"] });
    expect(steps(world, { history })).toEqual([`replace_link ${convenience}`]);
  });

  test("never replaces a real directory unasked, not even with force", () => {
    const world = ready();
    world.set("/opt/citadel/downloads", directory());
    world.set("/opt/citadel/downloads/weights", file("w"));
    const { plan } = planOn(world, { force: true });
    expect(plan.conflicts).toMatchObject([{ code: "LINK_PLACE_TAKEN" }]);
    expect(plan.operations).toEqual([]);
    expect(steps(world, { adopt: true })).toEqual(["adopt /opt/citadel/downloads"]);
    expect(steps(world, { moveAside: true })).toEqual([
      "move_aside /opt/citadel/downloads",
      "create_link /opt/citadel/downloads",
    ]);
  });

  test("adopts a file or moves it aside", () => {
    const world = ready();
    world.set("/opt/citadel/staging", file("notes"));
    expect(planOn(world).plan.conflicts).toHaveLength(1);
    expect(steps(world, { adopt: true })).toEqual(["adopt /opt/citadel/staging"]);
    expect(steps(world, { moveAside: true })).toHaveLength(2);
  });

  test("leaves what cannot be adopted for a person, with the reason", () => {
    const world = ready();
    world.set("/home/agent0/.cache/torch", directory());
    const notAdoptable = new Map([["/home/agent0/.cache/torch", "two differ"]]);
    const { plan, remainders } = planOn(world, { adopt: true, notAdoptable });
    expect(plan.operations).toEqual([]);
    expect(remainders).toMatchObject([{ because: "cache", reason: "two differ" }]);
  });

  test("lets a conflict of a cache link alone never stop the rest", () => {
    const world = freshWorld();
    world.set("/home/agent0/.cache", directory(0o700, 1000, 1000));
    world.set("/home/agent0/.cache/huggingface", directory());
    const { plan, remainders } = planOn(world);
    expect(plan.conflicts).toEqual([]);
    expect(plan.operations.map(({ path }) => path)).toContain("/home/agent0/.cache/torch" as never);
    expect(remainders).toMatchObject([
      { path: "/home/agent0/.cache/huggingface", because: "cache" },
    ]);
    expect(remainders[0]?.hint).toContain("--adopt");
  });

  test("names a link in a parent once, and not each thing below it", () => {
    const world = freshWorld();
    world.set("/opt", link("/data/opt"));
    world.set("/data/opt", directory());
    const { plan } = planOn(world);
    expect(plan.conflicts).toMatchObject([{ path: "/opt", code: "SYMLINK_IN_PATH" }]);
  });

  test("lets a link in the place of the home or its .cache stop only the cache links", () => {
    for (const path of ["/home", "/home/agent0/.cache"]) {
      const world = freshWorld();
      world.set(path, link("/data"));
      world.set("/data", directory());
      const { plan, remainders } = planOn(world);
      expect(plan.conflicts).toEqual([]);
      expect(remainders).toMatchObject([{ path, because: "cache" }]);
      expect(plan.operations.some((step) => step.op === "create_link")).toBe(true);
      expect(plan.operations.some((step) => step.path.startsWith("/home"))).toBe(false);
    }
  });

  test("skips the cache links of a user that does not exist, with the reason", () => {
    const nobody = { ownership: undefined, home: undefined, problem: "no user agent0" };
    const desired = desiredOf(defaultOptions(), nobody);
    const { plan, remainders } = planOn(freshWorld(), { desired });
    expect(remainders.map(({ state }) => state)).toEqual(["skipped", "skipped"]);
    expect(plan.conflicts).toEqual([]);
    expect(plan.operations.some(({ path }) => path.startsWith("/home"))).toBe(false);
  });

  test("skips the cache links where the home directory is missing, and never makes one", () => {
    const world = freshWorld();
    world.delete("/home/agent0");
    const { plan, remainders } = planOn(world, { desired: desiredOf(defaultOptions(), agent) });
    expect(remainders.map(({ state }) => state)).toEqual(["skipped", "skipped"]);
    expect(plan.operations.some(({ path }) => path.startsWith("/home"))).toBe(false);
  });

  const missingTarget: [boolean, boolean, string[], string[]][] = [
    // verify targets, create missing targets: steps, conflicts
    [true, true, [`make_dir ${active}/Yi-34B`, "create_link /opt/citadel/model-links/yi34b"], []],
    [false, true, [`make_dir ${active}/Yi-34B`, "create_link /opt/citadel/model-links/yi34b"], []],
    [true, false, [], ["LINK_TARGET_MISSING"]],
    [false, false, ["create_link /opt/citadel/model-links/yi34b"], []],
  ];
  for (const [verifyTargets, createMissingTargets, wanted, conflicts] of missingTarget) {
    test(`follows SYMLINK_VERIFY_TARGETS=${verifyTargets} and SYMLINK_CREATE_MISSING_TARGETS=${createMissingTargets}`, () => {
      const world = ready();
      world.delete(`${active}/Yi-34B`);
      world.delete("/opt/citadel/model-links/yi34b");
      const scope = { directories: false, links: true, files: false };
      const { plan } = planOn(world, { scope, verifyTargets, createMissingTargets });
      expect(plan.operations.map(({ op, path }) => `${op} ${path}`)).toEqual(wanted);
      expect(plan.conflicts.map(({ code }) => code)).toEqual(conflicts);
    });
  }

  test("removes a link of its own that is no longer configured, and no other", () => {
    const world = ready();
    const former = "/opt/citadel/model-links/old";
    world.set(former, link("/mnt/citadel-models/active/old"));
    world.set("/opt/citadel/model-links/mine", link("/srv"));
    const history = historyOf({ [former]: ["/mnt/citadel-models/active/old"] });
    expect(steps(world, { history })).toEqual([`remove_link ${former}`]);
  });

  test("leaves everything below a blocked root alone, and mends the rest", () => {
    const world = ready();
    world.delete(convenience);
    world.delete("/opt/citadel/scripts");
    world.delete("/mnt/citadel-backup/logs");
    const ok = {
      mountpoint: "/x",
      fstype: "ext4",
      uuid: undefined,
      state: "ok",
      reason: undefined,
    };
    const roots = [
      { ...ok, path: "/mnt/citadel-models" as AbsolutePath, state: "not_mounted", reason: "gone" },
      { ...ok, path: "/mnt/citadel-backup" as AbsolutePath },
    ] as StorageRoot[];
    const { plan, remainders } = planOn(world, { roots, manner: "mend" });
    expect(plan.operations.map(({ path }) => path as string)).toEqual([
      "/mnt/citadel-backup/logs",
      "/opt/citadel/scripts",
    ]);
    expect(new Set(remainders.map(({ because }) => because))).toEqual(new Set(["blocked"]));
    expect(remainders.map(({ path }) => path as string)).toContain(convenience);
  });

  test("does not touch a temporary of the transaction that runs now", () => {
    const world = ready();
    const path = "/opt/citadel/.citadel-agent.0123456789abcdef01234567.tmp";
    world.set(path, { ...link("/x"), mtimeMs: 2000 } as never);
    const history = { ...historyOf({}), pendingSinceMs: 1000 };
    expect(steps(world, { history })).toEqual([]);
    expect(steps(world, { history: { ...history, pendingSinceMs: 3000 } })).toHaveLength(1);
  });

  test("keeps a recorded choice until the setting changes, which wins and says so", () => {
    const chosen = { directory: "Mixtral-next", configured: "Mixtral-8x7B" };
    const activation = { aliases: { mixtral: chosen }, archived: ["Mixtral-8x7B"] };
    const kept = desiredOf(defaultOptions(), agent, activation);
    const target = (desired: typeof kept) =>
      desired.links.find(({ alias }) => alias === "mixtral")?.target;
    expect(target(kept)).toBe(`${active}/Mixtral-next`);
    expect(kept.environment["CITADEL_MODEL_MIXTRAL"]).toBe(`${active}/Mixtral-next`);
    expect(kept.directories.map(({ path }) => path as string)).not.toContain(
      `${active}/Mixtral-8x7B`,
    );
    const changed = defaultOptions({
      modelDirectories: { "mixtral-key": "Mixtral-other", "yi-key": "Yi-34B" },
    });
    const dropped = desiredOf(changed, agent, activation);
    expect(target(dropped)).toBe(`${active}/Mixtral-other`);
    expect(dropped.warnings.join()).toContain("mixtral");
  });

  test("refuses a layout in which a link would lie inside its own target", () => {
    const { paths } = defaultOptions();
    const options = defaultOptions({ paths: { ...paths, appModels: `${active}/active` } });
    expect(() => desiredOf(options).directories).toThrow(/inside its own target/);
  });
});

describe("planLayout, generated", () => {
  /** A small generator of our own: the seed is in the test's name, so a failure can be run again. */
  function random(seed: number) {
    let state = seed;
    return (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return (state >> 8) % below;
    };
  }

  function damage(world: World, next: (below: number) => number): void {
    const paths = [...world.keys()].filter((path) => /citadel(\/|-models\/|-backup\/)/.test(path));
    for (let round = 0; round < 12; round += 1) {
      const path = paths[next(paths.length)] as string;
      const node = world.get(path);
      const kind = next(5);
      if (node === undefined) continue;
      if (node.type === "directory") {
        if (kind < 3) world.set(path, directory([0o700, 0o777, 0o755][kind], next(3), 0));
        else {
          for (const each of paths) if (each.startsWith(`${path}/`)) world.delete(each);
          world.delete(path);
        }
      } else if (node.type === "link") {
        if (kind === 0) world.delete(path);
        else world.set(path, link(["/gone", path, "/", node.target][kind - 1] ?? "", next(2), 0));
      } else world.set(path, file("foreign"));
    }
  }

  for (let seed = 1; seed <= 200; seed += 1) {
    test(`a second plan after apply is empty (seed ${seed})`, () => {
      const world = ready();
      damage(world, random(seed));
      const { plan } = planOn(world, { force: true });
      expect(plan.conflicts).toEqual([]);
      for (const step of plan.operations) applyStep(world, step);
      expect(planOn(world).plan.operations).toEqual([]);
      expect(planOn(world).plan.conflicts).toEqual([]);
    });
  }
});
