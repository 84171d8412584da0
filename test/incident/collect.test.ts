import { expect, test } from "bun:test";
import { collectEvidence, commandCollector, fileCollector } from "../../src/incident/index.ts";
import { systemClock } from "../../src/system/index.ts";

const options = {
  clock: systemClock,
  deadlineMs: 300,
  fileLimitBytes: 100,
  redact: (text: string) => text.replaceAll("secret", "***"),
  signal: new AbortController().signal,
};

test("collectEvidence writes down what is absent, failed or not answering, and keeps the rest", async () => {
  const evidence = await collectEvidence(
    [
      { file: "good.txt", collect: () => "a secret here" },
      fileCollector("absent.txt", "/nonexistent/file"),
      commandCollector("no-tool.txt", ["/nonexistent/tool"]),
      {
        file: "failed.txt",
        collect: () => {
          throw new Error("no secret for you");
        },
      },
      { file: "hangs.txt", collect: () => new Promise<string>(() => {}) },
    ],
    options,
  );
  expect(evidence.files).toEqual({ "good.txt": "a *** here" });
  expect(evidence.index.map(({ file, state }) => `${file} ${state}`)).toEqual([
    "good.txt collected",
    "absent.txt absent",
    "no-tool.txt absent",
    "failed.txt failed",
    "hangs.txt not_answering",
  ]);
  expect(evidence.index[3]?.error).toBe("no *** for you");
});

test("collectEvidence keeps the end of a file that is too long and says so", async () => {
  const text = "x".repeat(500) + "the end";
  const { files } = await collectEvidence([{ file: "log.txt", collect: () => text }], options);
  expect(files["log.txt"]).toStartWith("[the first 407 characters are left out]");
  expect(files["log.txt"]).toEndWith("the end");
});

test("commandCollector notes a non-zero exit code beside the output", async () => {
  const collector = commandCollector("x.txt", ["sh", "-c", "echo out; echo err >&2; exit 3"]);
  const text = await collector.collect(options.signal);
  expect(text).toContain("out");
  expect(text).toContain("err");
  expect(text).toContain("[exit code 3]");
});
