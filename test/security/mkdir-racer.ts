// Replaces a directory by a link to a secret the moment it appears. Arguments: the directory and the secret.

import * as fs from "node:fs";

const [place = "", secret = ""] = process.argv.slice(2);
for (;;) {
  try {
    fs.rmdirSync(place);
    fs.symlinkSync(secret, place);
  } catch {
    // not there yet, or gone again
  }
}
