// The names of one directory in the order of their bytes. A directory of millions is taken range by range: it is read
// again for each range, which costs time, where holding and sorting all of its names at once would cost memory.

import { addressOf, readDirents, rewindDirectory } from "./native.ts";

/** So many names are held at a time, more or less. */
export const namesHeld = 262_144;
/** Names that are looked at to tell where to cut. */
const sampleSize = 2048;

const direntsBuffer = Buffer.from(new ArrayBuffer(256 * 1024));
const directoryType = 4; // DT_DIR
const unknownType = 0; // DT_UNKNOWN
const slash = 0x2f;
const dot = 0x2e;

/**
 * The names, zero-terminated, in blocks: a name lies whole in one block. A place is the number of the block times its
 * size, and the offset in it.
 */
interface Listing {
  readonly blocks: readonly Buffer[];
  /** Addresses of the blocks. */
  readonly addresses: readonly number[];
  /** Places of the names, sorted by bytes. */
  readonly order: Uint32Array;
}

/** `[from, to)` in the order of bytes; undefined: open. */
interface Range {
  readonly from: Buffer | undefined;
  readonly to: Buffer | undefined;
}

/** Goes through an open directory once. What may be a directory is there twice: as `a`, and as `a/` where that sorts. */
export class DirectoryNames {
  readonly #fd: number;
  readonly #withSelf: boolean;
  #listing: Listing;
  #next = 0;
  /** Ranges after the one at hand. */
  #further: Range[] = [];
  /** One character per byte. */
  name = "";
  /** Where the name stands in memory, zero-terminated, until the next one is asked for. */
  address = 0;

  /** @param withSelf whether `.` is wanted among the names @param held names to hold at a time */
  constructor(fd: number, withSelf: boolean, held = namesHeld) {
    this.#fd = fd;
    this.#withSelf = withSelf;
    const names = new NameStore();
    const sample = new Sample();
    let count = 0;
    this.#each((start, end) => {
      count += 1;
      if (count <= held) names.add(start, end);
      else {
        if (count === held + 1) sample.fill(names);
        sample.consider(start, end, count);
      }
    });
    if (count <= held) {
      this.#listing = names.finish();
      return;
    }
    const [first, ...further] = sample.ranges(Math.ceil(count / held) + 1);
    this.#further = further;
    this.#listing = this.#list(first);
  }

  /** Reads the directory; a name lies in the buffer from `start` to `end`. */
  #each(visit: (start: number, end: number) => void): void {
    for (let filled = readDirents(this.#fd, direntsBuffer); filled > 0;) {
      for (let at = 0; at < filled;) {
        const recordLength = direntsBuffer.readUInt16LE(at + 16);
        const type = direntsBuffer[at + 18];
        const start = at + 19;
        const end = direntsBuffer.indexOf(0, start);
        at += recordLength;
        const isDot = direntsBuffer[start] === dot && end - start === 1;
        const isDots = end - start === 2 && direntsBuffer.readUInt16LE(start) === 0x2e2e;
        if (isDots || (isDot && !this.#withSelf)) continue;
        visit(start, end);
        if (isDot || (type !== directoryType && type !== unknownType)) continue;
        direntsBuffer[end] = slash; // in the place of the zero
        visit(start, end + 1);
      }
      filled = readDirents(this.#fd, direntsBuffer);
    }
  }

  /** Goes on to the next name. A file system may list one twice while others come and go. @returns whether there is one */
  next(): boolean {
    const last = this.name;
    do {
      if (!this.#step()) return false;
    } while (this.name === last);
    return true;
  }

  #step(): boolean {
    let place = this.#listing.order[this.#next];
    while (place === undefined) {
      const range = this.#further.shift();
      if (range === undefined) return false;
      this.#listing = this.#list(range);
      this.#next = 0;
      place = this.#listing.order[0];
    }
    this.#next += 1;
    const number = Math.floor(place / blockBytes);
    const offset = place % blockBytes;
    const block = this.#listing.blocks[number] ?? direntsBuffer;
    this.name = block.toString("latin1", offset, block.indexOf(0, offset));
    this.address = (this.#listing.addresses[number] ?? 0) + offset;
    return true;
  }

  /** Reads the directory once more for the names of a range. */
  #list({ from, to }: Range): Listing {
    rewindDirectory(this.#fd);
    const names = new NameStore();
    this.#each((start, end) => {
      if (from !== undefined && direntsBuffer.compare(from, 0, from.length, start, end) < 0) return;
      if (to !== undefined && direntsBuffer.compare(to, 0, to.length, start, end) >= 0) return;
      names.add(start, end);
    });
    return names.finish();
  }
}

/** Names taken at random from all that pass (Vitter's algorithm R): where to cut into ranges of about one size. */
class Sample {
  readonly #names: Buffer[] = [];

  /** Begins with some of the names that passed so far. */
  fill(names: NameStore): void {
    for (let at = 0; at < sampleSize; at += 1) this.#names.push(names.any());
  }

  /** @param count of names that passed, this one included */
  consider(start: number, end: number, count: number): void {
    const place = Math.floor(Math.random() * count);
    if (place < sampleSize) this.#names[place] = Buffer.from(direntsBuffer.subarray(start, end));
  }

  /** Cuts the names into so many ranges. */
  ranges(parts: number): [Range, ...Range[]] {
    const sorted = this.#names.sort((left, right) => left.compare(right));
    const further: Range[] = [];
    let from: Buffer | undefined;
    for (let part = 1; part < parts; part += 1) {
      const to = sorted[Math.floor((part * sorted.length) / parts)];
      if (to === undefined || from?.equals(to) === true) continue;
      further.push({ from, to });
      from = to;
    }
    const [first, ...rest] = [...further, { from, to: undefined }];
    return [first ?? { from: undefined, to: undefined }, ...rest];
  }
}

const firstBlockBytes = 4096;
const blockBytes = 256 * 1024;

/** Collects names; memory grows by blocks. */
class NameStore {
  readonly #blocks: Buffer[] = [];
  #room = 0;
  #used = 0;
  #places = new Uint32Array(256);
  #count = 0;

  /** Adds the name at [start, end) of the dirents buffer. */
  add(start: number, end: number): void {
    const length = end - start + 1;
    if (this.#used + length > this.#room) this.#grow();
    const block = this.#blocks.at(-1);
    if (block === undefined) return;
    if (this.#count === this.#places.length) {
      const places = new Uint32Array(this.#count * 2);
      places.set(this.#places);
      this.#places = places;
    }
    this.#places[this.#count] = (this.#blocks.length - 1) * blockBytes + this.#used;
    this.#count += 1;
    direntsBuffer.copy(block, this.#used, start, end);
    block[this.#used + length - 1] = 0;
    this.#used += length;
  }

  #grow(): void {
    // with an ArrayBuffer of its own, as its address is kept; most directories are small
    this.#room = this.#blocks.length === 0 ? firstBlockBytes : blockBytes;
    this.#blocks.push(Buffer.from(new ArrayBuffer(this.#room)));
    this.#used = 0;
  }

  /** One of the names, at random. */
  any(): Buffer {
    const place = this.#places[Math.floor(Math.random() * this.#count)] ?? 0;
    const block = this.#blocks[Math.floor(place / blockBytes)] ?? direntsBuffer;
    const start = place % blockBytes;
    return Buffer.from(block.subarray(start, block.indexOf(0, start)));
  }

  finish(): Listing {
    const blocks = this.#blocks;
    const order = this.#places.subarray(0, this.#count);
    order.sort((left, right) => {
      const first = blocks[Math.floor(left / blockBytes)] ?? direntsBuffer;
      const second = blocks[Math.floor(right / blockBytes)] ?? direntsBuffer;
      let a = left % blockBytes;
      let b = right % blockBytes;
      while (first[a] === second[b] && first[a] !== 0) {
        a += 1;
        b += 1;
      }
      return (first[a] ?? 0) - (second[b] ?? 0);
    });
    return { blocks, addresses: blocks.map(addressOf), order };
  }
}
