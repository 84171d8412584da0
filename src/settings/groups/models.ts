// Models (MODEL_…): which directories hold the models, their short names, and how they are fetched.

import { convenienceLinks, modelDirectories } from "../dictionaries.ts";
import { field, type ValuesOf } from "../field.ts";
import { boolean, integer } from "../types.ts";

export const modelsFields = {
  model_directories: field(
    "MODEL_MODEL_DIRECTORIES",
    modelDirectories,
    {
      "mixtral-8x7b-instruct": "Mixtral-8x7B-Instruct-v0.1",
      "nous-hermes-2-mixtral": "Nous-Hermes-2-Mixtral-8x7B-DPO",
      "openchat-3.5": "openchat-3.5-1210",
      "phi-3-mini-128k": "Phi-3-mini-128k-instruct",
      "yi-34b-chat": "Yi-34B-Chat",
      "deepcoder-14b-instruct": "deepseek-coder-14b-instruct-v1.5",
      "mimo-vl-7b-rl": "imp-v1_5-7b",
    },
    "model key -> name of its directory below paths.models_active",
  ),
  convenience_links: field(
    "MODEL_CONVENIENCE_LINKS",
    convenienceLinks,
    {
      mixtral: "mixtral-8x7b-instruct",
      hermes: "nous-hermes-2-mixtral",
      openchat: "openchat-3.5",
      phi3: "phi-3-mini-128k",
      yi34b: "yi-34b-chat",
      coder: "deepcoder-14b-instruct",
      vision: "mimo-vl-7b-rl",
    },
    "alias -> model key",
  ),
  download_timeout: field(
    "MODEL_DOWNLOAD_TIMEOUT",
    integer(1, 2_000_000),
    1800,
    "limit of one model download, in seconds",
  ),
  verification_enabled: field(
    "MODEL_VERIFICATION_ENABLED",
    boolean,
    true,
    "check a model's files after a pull",
  ),
  auto_backup: field(
    "MODEL_AUTO_BACKUP",
    boolean,
    true,
    "a pull or activation queues a backup of that model (neither command exists yet: the daily backup takes new models)",
  ),
};

export type ModelsSettings = ValuesOf<typeof modelsFields>;
