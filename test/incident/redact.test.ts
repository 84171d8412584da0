import { describe, expect, test } from "bun:test";
import { redactText } from "../../src/incident/index.ts";

describe("redactText removes", () => {
  test.each([
    ["HF_TOKEN=hf_abcdefghijklmnopqrstuv", "hf_abc"],
    ["export S3_SECRET_ACCESS_KEY='wJalrXUtnFEMI/K7MDENG'", "wJalr"],
    ['{"api_key": "s3cr3t value"}', "s3cr3t"],
    ["Authorization: Bearer abcdefghijklmnop", "abcdefgh"],
    ["fetching https://user:pa55@example.org/x", "pa55"],
    ["GET https://example.org/a?X-Amz-Signature=0123abcd", "0123abcd"],
    ["//nas/models /mnt cifs username=bob,password=hunter2,uid=0 0 0", "hunter2"],
    ["key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7"],
    [
      "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n-----END OPENSSH PRIVATE KEY-----",
      "b3BlbnNz",
    ],
    ["cookie eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0.abc-_", "eyJzdWIi"],
    ["vllm serve --api-key sk-12345 --port 8000", "sk-12345"],
    ["pw=tr0ub4dor&3 is known", "tr0ub4dor&3"],
  ])("the secret of %j", (text, secret) => {
    expect(redactText(text, ["tr0ub4dor&3"])).not.toContain(secret);
  });
});

test("redactText leaves paths, hashes, options and plain URLs as they are", () => {
  const text = [
    "/dev/nvme0n1p1 /mnt/citadel-models ext4 rw,noatime,data=writeback 0 0",
    "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "see https://example.org/docs",
    "tokenizers compiled temporary",
  ].join("\n");
  expect(redactText(text)).toBe(text);
});

test("redactText masks a longer known value before a shorter one that it contains", () => {
  expect(redactText("abcdefgh", ["abcd", "abcdefgh"])).toBe("[redacted]");
});
