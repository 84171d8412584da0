// Process entry. `--version` is answered before anything else loads; everything else starts in `cli.ts`.

const argument = process.argv[2];
if (process.argv.length === 3 && (argument === "--version" || argument === "-V")) {
  const { versionText } = await import("./version.ts");
  console.log(versionText());
  process.exit(0);
}
