// Alerts about the host, its GPUs, model services and the agent, and the errors of `perf` and `alerts`.

import type { Explanations } from "./define.ts";

export const explanations: Explanations = {
  CPU_USAGE: {
    meaning:
      "The processors were busy beyond STORAGE_MONITOR_CPU_USAGE_WARNING (critical from 90 %) for several minutes.",
    causes: ["load", "a process that runs away"],
    remedy: ["`top` shows who"],
  },
  MEMORY_USAGE: {
    meaning:
      "Memory that is not available reached STORAGE_MONITOR_MEMORY_USAGE_WARNING (critical from 95 %).",
    causes: ["a model server with too large a cache", "a leak"],
    remedy: [
      "`top -o %MEM` shows who",
      "the kernel ends a process when it runs out: `dmesg | grep -i oom`",
    ],
  },
  GPU_MEMORY: {
    meaning:
      "The memory of a GPU is used beyond STORAGE_MONITOR_GPU_MEMORY_WARNING (critical from 95 %).",
    causes: ["a model server takes a fixed share of it at its start"],
    remedy: [
      "lower `--gpu-memory-utilization` of the model server, or raise the setting when this is meant",
    ],
  },
  GPU_TEMPERATURE: {
    meaning:
      "A GPU is within 5 °C of STORAGE_MONITOR_GPU_TEMPERATURE_CRITICAL (warning) or has reached it.",
    causes: ["fans or air flow", "a room that is too warm"],
    remedy: [
      "look at fans and filters",
      "`nvidia-smi -q -d TEMPERATURE` shows the limits of the card",
    ],
  },
  GPU_VANISHED: {
    meaning: "A GPU that answered before does not answer any more.",
    causes: ["it fell off the bus (Xid 79)", "power or heat", "it was taken out"],
    remedy: ["`dmesg | grep -i nvrm`", "a full power cycle", "reseat or replace the card"],
  },
  GPU_XID: {
    meaning:
      "The driver reported an error of a GPU (Xid). The alert stays for an hour after the last one.",
    causes: [
      "79: it fell off the bus; 48, 94, 95: memory errors; 63, 64: rows or pages were, or could not be, retired",
      "13, 31, 43: mostly the fault of the program that used it",
    ],
    remedy: [
      'see the meaning of the number in NVIDIA\'s "XID Errors"',
      "for hardware errors: drain the GPU, reset or reboot, have it replaced if it comes back",
    ],
  },
  GPU_ECC: {
    meaning: "A GPU counts memory errors that could not be corrected since its driver was loaded.",
    causes: ["failing memory"],
    remedy: [
      "restart what ran on it; its results may be wrong",
      "reset the GPU",
      "replace it when they come back",
      "`citadel-agent alerts ack ID` accepts the present count",
    ],
  },
  GPU_ROW_REMAP: {
    meaning: "A memory row of a GPU is to be remapped at its next reset, or could not be.",
    causes: ["failing memory"],
    remedy: [
      "stop what uses the GPU and reset it (`nvidia-smi --gpu-reset -i N`), or reboot",
      "replace the card when remapping failed",
    ],
  },
  GPU_PAGES_RETIRED: {
    meaning: "Memory pages of a GPU wait to be retired at the next reboot.",
    causes: ["failing memory"],
    remedy: ["reboot, or reset the GPU"],
  },
  GPU_PERSISTENCE_OFF: {
    meaning: "Persistence mode of a GPU is off: the driver unloads when nobody uses it.",
    causes: ["nvidia-persistenced does not run"],
    remedy: ["`systemctl enable --now nvidia-persistenced`, or `nvidia-smi -pm 1`"],
  },
  GPU_PCIE_LINK: {
    meaning: "A busy GPU has fewer PCIe lanes than it could.",
    causes: ["it does not sit well in its slot", "a riser or a slot with fewer lanes"],
    remedy: ["reseat it", "see the mainboard's manual for the slot"],
  },
  GPU_THROTTLED: {
    meaning: "A GPU slows itself down for heat or power.",
    causes: ["fans or air flow", "a power supply that is too weak"],
    remedy: ["`nvidia-smi -q -d PERFORMANCE` shows the reasons"],
  },
  MODEL_SERVICE_DOWN: {
    meaning: "A model service that once answered does not answer on its port (or /health fails).",
    causes: ["it was stopped or crashed", "its model is gone"],
    remedy: [
      "its log",
      "`citadel-agent status` for links and models",
      "take it out of STORAGE_MONITOR_MODEL_PORTS when it is not meant to run",
    ],
  },
  PROBE_FAILING: {
    meaning: "A probe could not look for three evaluations: what it watches is unknown.",
    causes: ["a tool that does not return (a dying disk, a driver in trouble)", "missing rights"],
    remedy: ["the alert names the probe and its error", "`citadel-agent doctor`"],
  },
  PROBE_TIMEOUT: {
    meaning: "A probe did not answer within its deadline and was cut off; the others went on.",
    causes: ["a disk, a mount or a driver that hangs"],
    remedy: ["`dmesg` often names it", "the next run is tried at its usual time"],
  },
  PROBE_STUCK: {
    meaning: "An earlier run of a probe has not ended, so no further one was started.",
    causes: ["a disk, a mount or a driver that hangs"],
    remedy: [
      "mend what hangs: the probe goes on by itself",
      "a restart of the agent does not help while the cause is there",
    ],
  },
  PROBE_FAILED: {
    meaning: "A probe ended with an error: what it watches is unknown until it works again.",
    causes: ["see the message"],
    remedy: ["`citadel-agent doctor`"],
  },
  TOOL_FAILED: {
    meaning:
      "A program that a probe calls (smartctl, nvidia-smi) did not return or could not be run.",
    causes: ["a disk or a driver in trouble", "missing rights"],
    remedy: ["run it by hand: `smartctl -a /dev/DISK`, `nvidia-smi`", "`dmesg`"],
  },
  AGENT_RESTARTED: {
    meaning: "The agent ended without a clean stop and was started again.",
    causes: [
      "it was killed, ran out of memory, or systemd's watchdog ended it",
      "the host lost power",
    ],
    remedy: ["`journalctl -u citadel-agent`"],
  },
  HISTORY_UNAVAILABLE: {
    meaning:
      "The monitor cannot keep its history; probes, alerts and metrics go on without. Or an old one was damaged and set aside.",
    causes: [
      "the disk of CITADEL_STATE_DIR is full or read-only",
      "missing rights",
      "a power cut damaged the file",
    ],
    remedy: ["free space, or mount it read-write", "`citadel-agent doctor`"],
  },
  PERF_NO_SPACE: {
    meaning: "Too little is free on the file system to measure it without a risk of filling it.",
    causes: ["less than 128 MiB are free, or less than twice what `--size` asks for"],
    remedy: ["free space, or give a smaller `--size` (16 MiB at least)"],
  },
  PERF_TIMEOUT: {
    meaning: "The measurement did not end in time: the storage hangs or is far too slow.",
    causes: ["a disk that fails", "a network mount whose server is gone"],
    remedy: ["`dmesg`", "`citadel-agent health`"],
  },
  PERF_FAILED: {
    meaning: "The process that measures ended before it was done.",
    causes: ["it was killed", "the disk reports errors"],
    remedy: ["`dmesg`, then try again"],
  },
  SECONDS_INVALID: {
    meaning: "The time for a workload is not a number of seconds between 0.1 and 60.",
    causes: ["a typing error"],
    remedy: ["`citadel-agent perf PATH --seconds 2`"],
  },
  LATENCY_DIRECTORY_FOREIGN: {
    meaning:
      "The directory `.citadel-agent` in a storage root is not a directory of the agent's own, so latency is not measured there.",
    causes: ["somebody else made it", "its owner or mode was changed"],
    remedy: ["look at it; `chown root: PATH && chmod 700 PATH` if it is the agent's"],
  },
  ALERT_UNKNOWN: {
    meaning: "No firing alert has this id.",
    causes: ["it was resolved meanwhile", "a typing error"],
    remedy: ["`citadel-agent alerts list` shows the ids"],
  },
  ALERT_AMBIGUOUS: {
    meaning: "Several alerts begin with this id.",
    causes: ["too few characters"],
    remedy: ["give more of the id"],
  },
  SILENCE_UNKNOWN: {
    meaning: "There is no silence with this id.",
    causes: ["it has ended", "a typing error"],
    remedy: ["`citadel-agent alerts list` shows the silences"],
  },
  MATCHER_INVALID: {
    meaning: "What is to be silenced is neither an alert's name nor a label with its value.",
    causes: ["a typing error"],
    remedy: ["`citadel-agent alerts silence DISK_USAGE,root=models --for 2h`"],
  },
  DURATION_INVALID: {
    meaning: "The text is not a duration.",
    causes: ["a unit is missing"],
    remedy: ["write 30m, 2h or 7d"],
  },
};
