// Rows found by a 32-bit key, for look-ups that grow with the number of files: ten bytes a row, in pieces, so that
// growing neither copies what is there nor leaves as much again for the collector.

const blockRows = 65_536;
const maxRowsPerHead = 2;

/** Whole numbers below 2^32 by their place; places are set in ascending order. */
export class NumberColumn {
  readonly #blocks: Uint32Array[] = [];

  /** 0 where nothing was set. */
  get(at: number): number {
    return this.#blocks[Math.floor(at / blockRows)]?.[at % blockRows] ?? 0;
  }

  set(at: number, value: number): void {
    const block = Math.floor(at / blockRows);
    while (this.#blocks.length <= block) this.#blocks.push(new Uint32Array(blockRows));
    (this.#blocks[block] as Uint32Array)[at % blockRows] = value;
  }
}

/** Rows are numbered from 1 in the order they are added. */
export class ChainedRows {
  /** The newest row of each chain; a key belongs to the chain of its last bits. */
  #heads = new Uint32Array(1024);
  readonly #keys = new NumberColumn();
  /** The row before it in its chain; 0 at the end. */
  readonly #before = new NumberColumn();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** @param key a whole number below 2^32, well mixed in its last bits @returns the row's number */
  add(key: number): number {
    if (this.#count >= this.#heads.length * maxRowsPerHead) this.#grow();
    this.#count += 1;
    this.#keys.set(this.#count, key);
    this.#chain(this.#count, key);
    return this.#count;
  }

  /** The newest row of this key; 0: there is none. */
  newest(key: number): number {
    return this.#sameKey(this.#heads[key & (this.#heads.length - 1)] ?? 0, key);
  }

  /** The next older row of the same key; 0: there is none. */
  older(row: number): number {
    return this.#sameKey(this.#before.get(row), this.#keys.get(row));
  }

  #sameKey(row: number, key: number): number {
    let at = row;
    while (at !== 0 && this.#keys.get(at) !== key) at = this.#before.get(at);
    return at;
  }

  #chain(row: number, key: number): void {
    const head = key & (this.#heads.length - 1);
    this.#before.set(row, this.#heads[head] ?? 0);
    this.#heads[head] = row;
  }

  #grow(): void {
    this.#heads = new Uint32Array(this.#heads.length * 2);
    for (let row = 1; row <= this.#count; row += 1) this.#chain(row, this.#keys.get(row));
  }
}
