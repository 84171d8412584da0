// `schema NAME`: the JSON schema of a document this binary prints. The schema is the whole output, with and without
// --json: it describes documents and is none of them.

import { nearest } from "../cli/suggest.ts";
import { CitadelError, ExitCode } from "../core/index.ts";
import { listSchemas, loadSchema } from "../schemas/index.ts";
import { defineAgentCommand } from "./define.ts";

export const command = defineAgentCommand({
  description: "prints the JSON schema of a document; alone: lists the documents",
  access: "read",
  settings: "none",
  args: {
    name: { type: "positional", required: false, description: "a document: status, error, …" },
  },
  examples: ["citadel-agent schema", "citadel-agent schema status > status.schema.json"],
  async run({ args, out }) {
    const names = listSchemas();
    if (args.name === undefined) {
      out.result("schema", { documents: names }, () => names.join("\n"));
      return ExitCode.success;
    }
    // `citadel.status/1`, as a document names itself, is accepted too.
    const schema = await loadSchema(args.name.replace(/^citadel\./, "").replace(/\/1$/, ""));
    if (schema === undefined) throw unknownSchema(args.name, names);
    out.verbatim(JSON.stringify(schema, null, 2));
    return ExitCode.success;
  },
});

function unknownSchema(name: string, known: readonly string[]): CitadelError {
  const near = nearest(name, known);
  return new CitadelError({
    kind: "usage",
    code: "SCHEMA_UNKNOWN",
    message: `unknown document ${JSON.stringify(name)}`,
    hint:
      near === undefined
        ? "`citadel-agent schema` lists the documents"
        : `did you mean \`citadel-agent schema ${near}\`?`,
  });
}
