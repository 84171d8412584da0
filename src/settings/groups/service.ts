// The HTTP service (CITADEL_SERVE_…): where `serve` listens.

import { field, type ValuesOf } from "../field.ts";
import { host, integer } from "../types.ts";

export const serviceFields = {
  host: field("CITADEL_SERVE_HOST", host, "127.0.0.1", "address that `serve` listens on", {
    envFileAliases: ["HOST"],
  }),
  port: field("CITADEL_SERVE_PORT", integer(1, 65_535), 3001, "port that `serve` listens on", {
    envFileAliases: ["PORT"],
  }),
};

export type ServiceSettings = ValuesOf<typeof serviceFields>;
