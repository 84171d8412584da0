// The crash campaign over `tune apply` and `tune rollback` on mounted file systems: a kill before each system call of
// the agent's main thread that changes something, and each error at each of them. What the agent started runs on.

import { allErrnos, type CampaignReport } from "./campaign.ts";
import { failAt, killAt, listCalls, sample, type CallPoint, type CrashTarget } from "./crash.ts";
import { createPrivateHost, type PrivateHost } from "./private-host.ts";
import { scrubbedEnvironment } from "./run-cli.ts";

export const tuneJobs = ["tune apply", "tune rollback"] as const;
export type TuneJob = (typeof tuneJobs)[number];

export interface TuneCampaignOptions {
  readonly program: readonly string[];
  readonly job: TuneJob;
  readonly limit?: number | undefined;
  readonly errnos?: readonly string[] | undefined;
  readonly onProgress?: ((text: string) => void) | undefined;
}

/** Everything that tuning changes: with planb-02 and --remount-now each kind of step there is on a loop device. */
const applyWords = ["tune", "apply", "--yes", "--json", "--profile", "planb-02", "--remount-now"];
const rollbackWords = ["tune", "rollback", "--yes", "--json"];
// Without systemd the trim timer cannot be set: partly done.
const doneCodes: Readonly<Record<TuneJob, number>> = { "tune apply": 4, "tune rollback": 0 };

export function runTuneCampaign(options: TuneCampaignOptions): CampaignReport {
  using host = createPrivateHost("ext4", "ext4", 7200);
  const campaign = new TuneCampaign(options, host);
  return campaign.run();
}

class TuneCampaign {
  readonly counts = { kills: 0, errors: 0, missed: 0 };
  readonly failures: string[] = [];
  readonly #untuned: string;
  readonly #tuned: string;

  constructor(
    readonly options: TuneCampaignOptions,
    readonly host: PrivateHost,
  ) {
    this.#untuned = this.#state();
    this.#mustRun(applyWords, 4);
    this.#tuned = this.#state();
    if (options.job === "tune apply") this.#mustRun(rollbackWords, 0);
    // The same journal and the same fstab, times included, before each run: then each run makes the same calls.
    host.bash(
      `rm -f /etc/fstab.citadel-*; cp -a /var/lib/citadel-agent /var/lib/saved; cp -a /etc/fstab /var/lib/saved-fstab`,
    );
  }

  run(): CampaignReport {
    const { job, limit, errnos, onProgress } = this.options;
    const { run, calls } = listCalls(this.#target());
    if (run.exitCode !== doneCodes[job]) throw new Error(`${job}: ${run.exitCode} ${run.stderr}`);
    const points = sample(calls, limit ?? calls.length);
    for (const point of points) {
      onProgress?.(aboutPoint("killed before", point));
      this.#reset();
      this.#kill(point);
    }
    for (const errno of errnos ?? allErrnos) {
      for (const point of points) {
        onProgress?.(aboutPoint(`${errno} at`, point));
        this.#reset();
        this.#fail(point, errno);
      }
    }
    return { calls: calls.length, ...this.counts, failures: this.failures };
  }

  #target(): CrashTarget {
    const words = this.options.job === "tune apply" ? applyWords : rollbackWords;
    return {
      command: [...this.host.inside([...this.options.program, ...words])],
      environment: scrubbedEnvironment,
      below: ["/etc", "/var/lib/citadel-agent", "/run/citadel-agent"],
      follow: false,
    };
  }

  #kill(point: CallPoint): void {
    const about = aboutPoint("killed before", point);
    if (!killAt(this.#target(), point).hit) return void (this.counts.missed += 1);
    this.counts.kills += 1;
    this.#fstabIsOldOrNew(about);
    this.#again(about);
  }

  #fail(point: CallPoint, errno: string): void {
    const about = aboutPoint(`${errno} at`, point);
    const run = failAt(this.#target(), point, errno);
    if (!run.hit) return void (this.counts.missed += 1);
    this.counts.errors += 1;
    const isDone = run.exitCode === doneCodes[this.options.job];
    const wanted = isDone ? this.#after() : this.#before();
    const now = this.#state();
    if (now !== wanted) {
      this.#note(about, `exit ${run.exitCode}, neither done nor undone: ${now}\n${run.stdout}`);
    }
    this.#again(about);
  }

  #before = () => (this.options.job === "tune apply" ? this.#untuned : this.#tuned);
  #after = () => (this.options.job === "tune apply" ? this.#tuned : this.#untuned);

  /** What boot would read is whole at every moment. */
  #fstabIsOldOrNew(about: string): void {
    const first = (state: string) => state.split("\n")[0];
    const now = this.#state();
    const known = [this.#untuned, this.#tuned].map(first);
    if (!known.includes(first(now))) this.#note(about, `fstab is neither old nor new`);
  }

  /** The same command again, as an operator would: it settles what was left and does its work. */
  #again(about: string): void {
    const words = this.options.job === "tune apply" ? applyWords : rollbackWords;
    const run = this.host.run([...this.options.program, ...words]);
    if (run.exitCode !== doneCodes[this.options.job]) {
      this.#note(about, `the next run ended with ${run.exitCode}: ${run.stdout}${run.stderr}`);
    }
    const now = this.#state();
    if (now !== this.#after()) this.#note(about, `not as wanted after the next run:\n${now}`);
    const left = this.host.bash("ls -A /etc | grep citadel-agent || true");
    if (left !== "") this.#note(about, `left over: ${left}`);
  }

  /** Whatever happened: the state before the job, on disk, in the kernel and in the journal. */
  #reset(): void {
    const { job } = this.options;
    const now = this.#state();
    if (now !== this.#before()) {
      this.host.run([
        ...this.options.program,
        ...(job === "tune apply" ? rollbackWords : applyWords),
      ]);
    }
    this.host.bash(`rm -rf /var/lib/citadel-agent /run/citadel-agent; rm -f /etc/fstab.citadel-*
      cp -a /var/lib/saved /var/lib/citadel-agent; cp -a /var/lib/saved-fstab /etc/fstab`);
    if (this.#state() !== this.#before()) throw new Error(`cannot go back:\n${this.#state()}`);
  }

  #mustRun(words: readonly string[], exitCode: number): void {
    const run = this.host.run([...this.options.program, ...words]);
    if (run.exitCode !== exitCode) {
      throw new Error(`${words.join(" ")}: ${run.exitCode} ${run.stdout}${run.stderr}`);
    }
  }

  #state(): string {
    const { models, backup } = this.host.devices;
    return this.host.bash(`sha256sum < /etc/fstab
      for m in models backup; do findmnt -n -o SOURCE,FSTYPE,VFS-OPTIONS /mnt/citadel-$m || echo not mounted; done
      for d in ${models} ${backup}; do
        tune2fs -l $d | grep '^Default mount'
        grep -E '^(no)?barrier$|^data=' /proc/fs/ext4/\${d#/dev/}/options
      done`);
  }

  #note(about: string, what: string): void {
    this.failures.push(`${about}: ${what}`);
  }
}

const aboutPoint = (what: string, { call, when, text }: CallPoint) =>
  `${what} ${call} #${when} (${text.slice(0, 120)})`;
