// Which side of a copy failed: running out of space must not be taken for a source that cannot be read.

/** Wraps an error of the target side; `cause` is the system's. */
export class TargetFailure extends Error {}

/** @throws TargetFailure */
export function onTarget<T>(call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw new TargetFailure("target", { cause: thrown });
  }
}
