// What the idle daemon costs: memory, growth over simulated time, processor per cycle, and a scrape beside
// prometheus-node-exporter's. Usage: bun scripts/bench/monitor.ts [--seconds 120] [--only=idle|fast]
// The daemon is the compiled binary (dist/citadel-agent), below a root with the host's own /proc and /sys, so that
// every probe that the host has runs. Cycles are accelerated by the interval: 1 s in place of 60 s.

import { readFileSync } from "node:fs";
import { createDaemonWorld, freePort, until } from "../../test/support/daemon.ts";
import { missingPrograms } from "../../test/support/services.ts";

const at = process.argv.indexOf("--seconds");
const seconds = at === -1 ? 120 : Number(process.argv[at + 1]);
const only = /^--only=(idle|fast)$/.exec(process.argv.at(-1) ?? "")?.[1];
const mib = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

/** CPU time so far, in ms, of a process itself: children are not in it. utime and stime in ticks of 10 ms. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function memory(pid: number): { rss: number; anonymous: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
  return { rss: kib("VmRSS") * 1024, anonymous: kib("RssAnon") * 1024 };
}

async function scrapeCost(pid: number, url: string, scrapes = 200): Promise<number> {
  for (let round = 0; round < 20; round += 1) await (await fetch(url)).text();
  const before = cpuMs(pid);
  for (let round = 0; round < scrapes; round += 1) await (await fetch(url)).text();
  return (cpuMs(pid) - before) / scrapes;
}

/** The daemon with one set of intervals, watched for a while. */
async function measure(name: string, settings: Record<string, string>, watchS: number) {
  await using world = await createDaemonWorld(settings, { withProc: true });
  const { pid } = world.start();
  await until("ready", async () => {
    try {
      return (await fetch(`${world.healthUrl}/readyz`)).status === 200;
    } catch {
      return false;
    }
  });
  await Bun.sleep(5000);
  const first = { cpu: cpuMs(pid), ...memory(pid) };
  const points: { rss: number; anonymous: number }[] = [];
  for (let passed = 0; passed < watchS; passed += watchS / 6) {
    await Bun.sleep((watchS / 6) * 1000);
    points.push(memory(pid));
  }
  const usedMs = cpuMs(pid) - first.cpu;
  const last = points.at(-1) ?? first;
  console.log(`${name}: ${watchS} s`);
  console.log(
    `  RSS ${mib(first.rss)} -> ${mib(last.rss)}, anonymous ${mib(first.anonymous)} -> ${mib(last.anonymous)}`,
  );
  console.log(`  anonymous over time: ${points.map((point) => mib(point.anonymous)).join(", ")}`);
  console.log(`  CPU ${usedMs} ms: ${((usedMs / watchS / 1000) * 100).toFixed(2)} % of one core`);
  return { world, pid, scrapeMs: await scrapeCost(pid, `${world.metricsUrl}/metrics`), usedMs };
}

async function measureFast(): Promise<void> {
  const { usedMs } = await measure("accelerated 60 times", {}, seconds);
  console.log(
    `CPU per accelerated cycle: ${(usedMs / seconds).toFixed(1)} ms; simulated ${((seconds * 60) / 3600).toFixed(1)} h`,
  );
}

if (only === "fast") {
  await measureFast();
  process.exit(0);
}
const idle = await measure(
  "default intervals",
  { STORAGE_MONITOR_CHECK_INTERVAL: "60", SYMLINK_HEALTH_CHECK_INTERVAL: "300" },
  seconds,
);
if (only !== "idle") await measureFast();
console.log(`scrape of the agent: ${idle.scrapeMs.toFixed(2)} ms CPU`);

const missing = missingPrograms("prometheus-node-exporter");
if (missing !== undefined) console.log(`node_exporter: ${missing}`);
else {
  const port = await freePort();
  const exporter = Bun.spawn(
    ["prometheus-node-exporter", `--web.listen-address=127.0.0.1:${port}`],
    { stdout: "ignore", stderr: "ignore" },
  );
  try {
    const url = `http://127.0.0.1:${port}/metrics`;
    await until("node_exporter", async () => {
      try {
        return (await fetch(url)).status === 200;
      } catch {
        return false;
      }
    });
    const theirs = await scrapeCost(exporter.pid, url, 100);
    console.log(
      `scrape of node_exporter: ${theirs.toFixed(2)} ms CPU; ours is ${(idle.scrapeMs / theirs).toFixed(3)} of it`,
    );
  } finally {
    exporter.kill();
  }
}
