// `--help --json`.

import { document, list, text } from "./define.ts";

export const schema = document("help", "the help of a command", { words: list(text), text });
