// Codes of the daemon: its ports, its sinks, its own hand, its jobs.

import type { Explanations } from "./define.ts";

export const explanations: Explanations = {
  MONITOR_NOT_RUNNING: {
    meaning: "No monitor runs on this host, so there is none to stop.",
    causes: ["it was stopped already", "the service is not installed or failed to start"],
    remedy: ["`systemctl status citadel-agent`", "`citadel-agent service install`"],
  },
  MONITOR_NOT_STOPPED: {
    meaning: "The monitor was told to stop and is still there.",
    causes: ["it waits for a disk that hangs in the kernel", "systemd refused to stop the unit"],
    remedy: [
      "`journalctl -u citadel-agent`",
      "`kill -9` loses nothing: what it had to say is in the outbox",
    ],
  },
  PORT_IN_USE: {
    meaning: "Another program listens on a port that the agent wants.",
    causes: [
      "a model server: 8000 is the default port of vLLM",
      "another monitor, or one that is just ending",
    ],
    remedy: [
      "`citadel-agent doctor` names who holds it",
      "set STORAGE_MONITOR_METRICS_PORT or STORAGE_MONITOR_HEALTH_CHECK_PORT, then reload the service",
    ],
  },
  LISTEN_FAILED: {
    meaning: "The agent cannot listen on the address that the settings name.",
    causes: [
      "STORAGE_MONITOR_BIND is no address of this host",
      "a port below 1024 without the right",
    ],
    remedy: ["`ip address` shows the addresses; correct STORAGE_MONITOR_BIND"],
  },
  HTTP_PORT_IN_USE: {
    meaning:
      "The daemon cannot listen on one of its ports. It goes on watching and tries again; only scraping or health checks are missing.",
    causes: [
      "a model server has the port (8000 is vLLM's default)",
      "a wrong STORAGE_MONITOR_BIND",
    ],
    remedy: [
      "`citadel-agent doctor` names who holds it",
      "choose another port in the settings, then `systemctl reload citadel-agent`",
    ],
  },
  HTTP_UNREACHABLE: {
    meaning: "A server that the settings name cannot be reached; the request is sent again.",
    causes: [
      "it is down, or a firewall is in between",
      "its name does not resolve",
      "its certificate is not trusted here",
    ],
    remedy: ["try it with `curl -v`", "for a private authority set CITADEL_CA_FILE"],
  },
  HTTP_TIMEOUT: {
    meaning: "A server that the settings name took the request and did not answer in time.",
    causes: ["it is overloaded or hangs"],
    remedy: ["look at that server; the request is sent again"],
  },
  HTTP_REDIRECT_REFUSED: {
    meaning:
      "A server answered with a redirect that is not followed: secrets go to no other origin, nothing goes from https to http.",
    causes: [
      "the address in the settings is an old one",
      "http:// was written where https:// is meant",
    ],
    remedy: ["set the address that answers itself"],
  },
  SINK_REFUSED: {
    meaning:
      "A server that gets status or alerts answered with an error; the message waits and is sent again.",
    causes: ["a wrong or expired token", "a wrong path in the address", "an error of that server"],
    remedy: [
      "see its log; correct the address or the token, then `systemctl reload citadel-agent`",
    ],
  },
  SINK_FAILING: {
    meaning:
      "For ten minutes nothing has reached one of the places that status and alerts are sent to. Messages wait in the outbox and lose neither order nor any alert.",
    causes: ["that server is down", "the network is", "a wrong address or token"],
    remedy: [
      "`journalctl -u citadel-agent` says what it answers",
      "correct the settings, then `systemctl reload citadel-agent`",
    ],
  },
  LINK_REPAIRED: {
    meaning: "The daemon found a link of ours missing or broken and restored it.",
    causes: ["someone or something removed or replaced it"],
    remedy: ["find out what did it; nothing else is to be done"],
  },
  LINK_REPAIR_LIMIT: {
    meaning:
      "A link was mended as often as STORAGE_MONITOR_REPAIRS_PER_HOUR allows and is broken again. The daemon leaves it to a person.",
    causes: ["a script, a deployment or another agent removes it again and again"],
    remedy: [
      "`citadel-agent history` shows what we did and when",
      "stop what removes it, then `citadel-agent repair`",
    ],
  },
  LINK_REPAIR_FAILED: {
    meaning: "Links are broken and the daemon cannot mend them.",
    causes: [
      "the storage is not mounted, read-only or full",
      "the unit may not write there (paths that were changed after `service install`)",
    ],
    remedy: [
      "`citadel-agent repair --dry-run`",
      "`citadel-agent service install` again after changes of paths",
    ],
  },
  SETTINGS_NOT_RELOADED: {
    meaning:
      "The settings were to be read again and are wrong; the daemon goes on with the old ones.",
    causes: ["a typing error in the env file or the configuration file"],
    remedy: ["`citadel-agent config check`", "then `systemctl reload citadel-agent`"],
  },
  JOB_FAILED: {
    meaning: "Scheduled work could not be started.",
    causes: ["systemd refused the unit", "the binary was moved away"],
    remedy: [
      "`systemctl status 'citadel-agent-backup@*'`",
      "run it by hand: `citadel-agent backup run-due`",
    ],
  },
  JOB_NOT_STARTED: {
    meaning: "The unit of a job was not started by systemd.",
    causes: ["the unit is masked or damaged"],
    remedy: ["`systemctl status 'citadel-agent-backup@*'`", "`citadel-agent service install`"],
  },
  UNIT_FOREIGN: {
    meaning: "A unit of our name is there that citadel-agent did not write. Nothing was changed.",
    causes: ["a package or an administrator wrote it"],
    remedy: ["move it away, or keep own changes in `systemctl edit citadel-agent`"],
  },
  SYSTEMD_MISSING: {
    meaning: "The service is a systemd unit, and systemd does not run here.",
    causes: ["a container", "another init"],
    remedy: [
      "start `citadel-agent monitor` with what starts services here",
      "for an image: `citadel-agent service install --root DIR`",
    ],
  },
  BINARY_NEEDED: {
    meaning: "The agent runs from its sources, so there is no binary to install.",
    causes: ["it was started with Bun"],
    remedy: ["`bun run build`, then `dist/citadel-agent service install`"],
  },
  NO_PREVIOUS_BINARY: {
    meaning: "There is no former binary to go back to.",
    causes: ["nothing was upgraded here yet"],
    remedy: ["run `service install` of the version you want"],
  },
  SERVICE_NOT_STARTED: {
    meaning: "The new binary is in place, and the service does not start with it.",
    causes: ["settings that the new version refuses"],
    remedy: [
      "`journalctl -u citadel-agent`",
      "`citadel-agent service install --previous --now` goes back",
    ],
  },
  HTTP_TOKEN_NEEDED: {
    meaning:
      "The daemon is to listen on an address that others can reach, and there is no token to tell readers apart. It does not start.",
    causes: ["STORAGE_MONITOR_BIND was set without CITADEL_HTTP_TOKEN"],
    remedy: [
      "put a token into a file (0600) and name it with CITADEL_HTTP_TOKEN_FILE",
      "or listen on loopback: STORAGE_MONITOR_BIND=127.0.0.1",
    ],
  },
};
