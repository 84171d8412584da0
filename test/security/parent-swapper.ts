// Plays the owner of the directory above a restore's target: swaps it for a link to a victim and back.
// Arguments: that directory and the victim.

import * as fs from "node:fs";

const [parent = "", victim = ""] = process.argv.slice(2);
console.log("at work");
for (;;) {
  try {
    fs.renameSync(parent, `${parent}.aside`);
    fs.symlinkSync(victim, parent);
    fs.unlinkSync(parent);
    fs.renameSync(`${parent}.aside`, parent);
  } catch {
    // somebody made it anew meanwhile
  }
}
