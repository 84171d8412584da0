// The agent itself (CITADEL_…): its state, what it demands of the host, and where it sends what it knows.

import { historyKeep } from "../dictionaries.ts";
import { field, type ValuesOf } from "../field.ts";
import * as types from "../types.ts";

export const agentFields = {
  state_dir: field(
    "CITADEL_STATE_DIR",
    types.storagePath,
    "/var/lib/citadel-agent",
    "journal, catalogue and history of the agent",
  ),
  require_mounts: field(
    "CITADEL_REQUIRE_MOUNTS",
    types.automatic,
    "auto",
    "storage roots must lie on mounts other than /; auto means yes, but no below --root",
  ),
  push_url: field("CITADEL_PUSH_URL", types.optionalUrl, undefined, "where the status is sent"),
  push_token: field("CITADEL_PUSH_TOKEN", types.secret, undefined, "bearer token of the push"),
  push_hmac_secret: field(
    "CITADEL_PUSH_HMAC_SECRET",
    types.secret,
    undefined,
    "key that signs the push (HMAC-SHA256)",
  ),
  push_interval: field(
    "CITADEL_PUSH_INTERVAL",
    types.integer(1, 2_000_000),
    60,
    "interval of the push, in seconds",
  ),
  alertmanager_url: field(
    "CITADEL_ALERTMANAGER_URL",
    types.optionalUrl,
    undefined,
    "Alertmanager that gets the alerts",
  ),
  webhook_url: field(
    "CITADEL_WEBHOOK_URL",
    types.secretUrl,
    undefined,
    "webhook that gets the alerts",
  ),
  pushgateway_url: field(
    "CITADEL_PUSHGATEWAY_URL",
    types.optionalUrl,
    undefined,
    "Pushgateway for hosts that nobody can scrape",
  ),
  ping_url: field(
    "CITADEL_PING_URL",
    types.secretUrl,
    undefined,
    "dead man's switch: asked after every good round",
  ),
  ca_file: field(
    "CITADEL_CA_FILE",
    types.optionalPath,
    undefined,
    "certificates of a private authority, PEM, trusted beside the public ones",
  ),
  http_token: field(
    "CITADEL_HTTP_TOKEN",
    types.secret,
    undefined,
    "token that readers of the HTTP ports must send, except on loopback",
  ),
  tune_profile: field(
    "CITADEL_TUNE_PROFILE",
    types.choice("safe", "planb-02"),
    "safe",
    "which figures `tune` wants",
  ),
  history_keep: field(
    "CITADEL_HISTORY_KEEP",
    historyKeep,
    { generations: 100, days: 365 },
    "how many generations of the layout are kept, and for how long",
  ),
};

export type AgentSettings = ValuesOf<typeof agentFields>;
