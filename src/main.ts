// Process entry. `--version` and our own children are answered before anything else loads; everything else starts
// in `cli.ts`. Turns the outcome into the exit code; what nobody caught is a bug of ours and exits 1.

const words = process.argv.slice(2);
const [first] = words;
const asksVersion = words.some((word) => word === "--version" || word === "-V");

// Bun would stop verifying TLS; no setting of ours asks for that, so no environment may (docs/architecture-binary.md).
delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];

if (first === "__child") {
  const { runInternal } = await import("./internal.ts");
  process.exit(await runInternal(words.slice(1)));
}

if (asksVersion && words.length === 1) {
  const { versionText } = await import("./version.ts");
  console.log(versionText());
  process.exit(0);
}

if (asksVersion && words.length === 2 && words.includes("--json")) {
  const [{ version }, { hostname }] = await Promise.all([
    import("./version.ts"),
    import("node:os"),
  ]);
  const time = new Date().toISOString();
  console.log(
    JSON.stringify({ schema: "citadel.version/1", host: hostname(), time, ...version() }),
  );
  process.exit(0);
}

// These will ask the models disk through a child (src/system/survey): it comes up while the rest is loaded.
if ((first === "links" && words[1] === "verify") || first === "status") {
  const { startEarlyChild } = await import("./system/survey/start-child.ts");
  const compiled = import.meta.path.startsWith("/$bunfs/");
  startEarlyChild(compiled ? [process.execPath] : [process.execPath, import.meta.path]);
}

const { main } = await import("./cli.ts");
process.exit(await main(words));
