// Plays the owner of a backup root against a running backup: swaps its area, the partial in it, and the tag directory
// for links to a victim and back, as fast as it can. Arguments: the backup root and the victim.

import * as fs from "node:fs";

const [root = "", victim = ""] = process.argv.slice(2);
const area = `${root}/models`;

function quietly(change: () => void): void {
  try {
    change();
  } catch {
    // the backup was faster this time
  }
}

/** Moves `path` aside, puts a link there, and takes it back. */
function swap(path: string, target: string): void {
  quietly(() => {
    fs.renameSync(path, `${path}.aside`);
    quietly(() => fs.symlinkSync(target, path));
    quietly(() => fs.unlinkSync(path));
    fs.renameSync(`${path}.aside`, path);
  });
}

fs.mkdirSync(`${root}/trap`, { recursive: true });
for (const name of ["data", ".work", "packed", "daily"])
  fs.symlinkSync(victim, `${root}/trap/${name}`);
console.log("at work");
for (;;) {
  swap(area, victim);
  swap(area, `${root}/trap`);
  quietly(() => {
    for (const name of fs.readdirSync(area)) {
      if (name.endsWith(".partial")) swap(`${area}/${name}`, `${root}/trap`);
    }
  });
  swap(`${area}/daily`, victim);
}
