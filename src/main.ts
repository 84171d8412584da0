// Process entry. `--version` and our own children are answered before anything else loads; everything else starts
// in `cli.ts`. Turns the outcome into the exit code; what nobody caught is a bug of ours and exits 1.

const words = process.argv.slice(2);
const [first] = words;
const asksVersion = words.some((word) => word === "--version" || word === "-V");

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

const { main, reportBug } = await import("./cli.ts");
const { watchSignals } = await import("./system/signals.ts");

/** A daemon outlives a stray rejection (it is logged); a command does not: its result could not be trusted. */
let isDaemon = false;
process.on("uncaughtException", (error) => {
  reportBug(error, words);
  process.exit(1);
});
process.on("unhandledRejection", (reason) => {
  reportBug(reason, words);
  if (!isDaemon) process.exit(1);
});

process.exit(
  await main(words, watchSignals(), () => {
    isDaemon = true;
  }),
);
