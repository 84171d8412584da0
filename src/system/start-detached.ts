// Starts a process that outlives us: in a session of its own, without our descriptors.

/**
 * Starts `command` and lets go of it.
 * @throws when the program cannot be started
 */
export function startDetached(command: readonly string[]): number {
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    cwd: "/",
    detached: true,
  });
  child.unref();
  return child.pid;
}
