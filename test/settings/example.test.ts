import { readFileSync } from "node:fs";
import { describe, expect, test } from "bun:test";
import { formatSettingsPage } from "../../scripts/settings-docs.ts";
import { maskAddress } from "../../src/settings/display.ts";
import { formatExample, type ExampleFormat } from "../../src/settings/example.ts";
import { knownFields } from "../../src/settings/schema.ts";
import { World } from "./world.ts";

/** Takes the `#` off every setting, as an operator who wants to see all of them in force. */
const uncomment = (text: string) => text.replace(/^( *)#(?=\S)/gm, "$1");

function load(format: ExampleFormat, text: string) {
  using world = new World();
  const path = world.write(format === "yaml" ? "c.yml" : "c.env", text);
  return world.inspect({}, format === "yaml" ? { config: path } : { envFile: path });
}

describe.each(["yaml", "env"] as const)("the example as %s", (format) => {
  const defaults = load("yaml", "").settings;

  test("names every setting", () => {
    const text = formatExample(format);
    const missing = knownFields.filter(({ field }) => !text.includes(field.name));
    expect(missing).toEqual([]);
  });

  test("loads back to the defaults, as it is and with every line in force", () => {
    for (const text of [formatExample(format), uncomment(formatExample(format))]) {
      const { settings, problems, warnings } = load(format, text);
      expect(problems).toEqual([]);
      expect(warnings).toEqual([]);
      expect(settings).toEqual(defaults);
    }
  });

  test("with every line in force takes every value from the file", () => {
    const { origins } = load(format, uncomment(formatExample(format)));
    const others = [...origins].filter(([, { kind }]) => !kind.endsWith("file"));
    expect(others).toEqual([]);
  });

  test("with the preset planb-02 has the seed's directories and its profile, else the defaults", () => {
    const { settings, problems } = load(format, formatExample(format, "planb-02"));
    expect(problems).toEqual([]);
    expect(Object.values(settings.models.model_directories).sort()).toEqual(
      "deepcoder-14b mimo-vl-7b mixtral-8x7b nous-hermes-2 openchat-3.5 phi-3-mini yi-34b".split(
        " ",
      ),
    );
    expect(settings.agent.tune_profile).toBe("planb-02");
    const { model_directories: ours } = settings.models;
    for (const model of Object.values(settings.models.convenience_links)) {
      expect(ours).toHaveProperty([model]);
    }
    expect({
      ...settings,
      models: { ...settings.models, model_directories: defaults.models.model_directories },
      agent: { ...settings.agent, tune_profile: "safe" },
    } as unknown).toEqual(defaults);
  });
});

test("docs/settings.md is what scripts/settings-docs.ts writes", () => {
  const page = readFileSync(new URL("../../docs/settings.md", import.meta.url), "utf8");
  expect(page).toBe(formatSettingsPage());
});

test.each([
  ["https://u:p@h/x?k=1", "https://***@h/x?***"],
  ["https://h/x", "https://h/x"],
  ["/a?b", "/a?b"],
])("maskAddress shows %s as %s", (text, shown) => expect(maskAddress(text)).toBe(shown));
