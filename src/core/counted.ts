// Numbers of things for people: `1 path`, `2 paths`.

/** @param plural default: the singular with an `s` */
export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${count} ${count === 1 ? singular : plural}`;
}
