import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { absolutePath, CitadelError, type AbsolutePath } from "../../src/core/index.ts";
import {
  openDatabase,
  openDatabaseForReading,
  type DatabaseOptions,
  type SqliteDatabase,
} from "../../src/system/database.ts";
import { systemClock } from "../../src/system/index.ts";

let root: string;
let path: AbsolutePath;
beforeEach(() => {
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/citadel-db-`));
  path = absolutePath(`${root}/state/test.db`);
});
afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

const create = (database: SqliteDatabase) => {
  database.run("CREATE TABLE t (a TEXT)");
};
const addColumn = (database: SqliteDatabase) => {
  database.run("ALTER TABLE t ADD COLUMN b TEXT DEFAULT 'new'");
};

const options = (more: Partial<DatabaseOptions> = {}): DatabaseOptions => ({
  path,
  name: "test database",
  synchronous: "full",
  migrations: [create],
  clock: systemClock,
  ...more,
});

function insert(database: ReturnType<typeof openDatabase>, text: string): void {
  database.write("insert", () => database.handle.query("INSERT INTO t (a) VALUES (?)").run(text));
}

function texts(): string[] | undefined {
  using database = openDatabaseForReading(options());
  return database?.handle
    .query<{ a: string }, []>("SELECT a FROM t ORDER BY rowid")
    .all()
    .map((row) => row.a);
}

function caught(call: () => unknown): CitadelError {
  try {
    call();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(CitadelError);
    return thrown as CitadelError;
  }
  throw new Error("nothing was thrown");
}

const isRoot = process.getuid?.() === 0;

/** A small tmpfs at `directory` for the time of `call`; false where mounting is not allowed. */
function withMount(directory: string, sizeKb: number, call: () => void): boolean {
  fs.mkdirSync(directory, { recursive: true });
  const tmpfs = ["mount", "-t", "tmpfs", "-o", `size=${sizeKb}k,mode=700`, "tmpfs", directory];
  if (Bun.spawnSync(tmpfs).exitCode !== 0) return false;
  try {
    call();
  } finally {
    Bun.spawnSync(["umount", "-l", directory]);
  }
  return true;
}

function fill(directory: string): void {
  const fd = fs.openSync(`${directory}/fill`, "w");
  try {
    for (let size = 65_536; size >= 1;) {
      try {
        fs.writeSync(fd, Buffer.alloc(size));
      } catch {
        size = size === 1 ? 0 : size >> 1;
      }
    }
  } finally {
    fs.closeSync(fd);
  }
}

describe("openDatabase", () => {
  test("creates the file 0600 in a directory 0700 and keeps -wal and -shm after closing", () => {
    const database = openDatabase(options());
    insert(database, "one");
    database.close();
    expect(fs.statSync(path).mode & 0o777).toBe(0o600);
    expect(fs.statSync(`${root}/state`).mode & 0o777).toBe(0o700);
    expect(fs.statSync(`${path}-wal`).size).toBeGreaterThanOrEqual(1024 * 1024);
    expect(fs.existsSync(`${path}-shm`)).toBe(true);
    expect(texts()).toEqual(["one"]);
  });

  test("migrates an older version after a copy, and keeps its rows", () => {
    const first = openDatabase(options());
    insert(first, "old");
    first.close();
    using second = openDatabase(options({ migrations: [create, addColumn] }));
    expect(second.userVersion).toBe(2);
    expect(second.handle.query("SELECT * FROM t").all()).toEqual([{ a: "old", b: "new" }]);
    expect(fs.readdirSync(`${root}/state`).some((name) => name.startsWith("test.db.v1-"))).toBe(
      true,
    );
  });

  test("does not migrate while beforeMigration objects", () => {
    openDatabase(options()).close();
    const beforeMigration = () => {
      throw new CitadelError({ kind: "locked", code: "DAEMON_TOO_OLD", message: "old daemon" });
    };
    const migrations = [create, addColumn];
    expect(caught(() => openDatabase(options({ migrations, beforeMigration }))).code).toBe(
      "DAEMON_TOO_OLD",
    );
    openDatabase(options()).close();
  });

  test("refuses a newer version for changes with STATE_TOO_NEW and still reads it", () => {
    const newer = openDatabase(options({ migrations: [create, addColumn] }));
    insert(newer, "from the future");
    newer.close();
    const error = caught(() => openDatabase(options()));
    expect([error.code, error.path]).toEqual(["STATE_TOO_NEW", path]);
    using reading = openDatabaseForReading(options());
    expect(reading?.tooNew).toBe(true);
    expect(texts()).toEqual(["from the future"]);
  });

  test("sets a damaged file aside when asked to, else reports it", () => {
    const first = openDatabase(options());
    insert(first, "lost");
    first.close();
    fs.writeFileSync(path, Buffer.alloc(8192, 0x41));
    fs.writeFileSync(`${path}-wal`, ""); // the WAL alone would mend it
    expect(caught(() => openDatabase(options())).code).toBe("DATABASE_DAMAGED");
    using second = openDatabase(options({ damage: "set-aside" }));
    expect(second.setAside).toContain("test.db.damaged-");
    expect(fs.readFileSync(second.setAside ?? "").length).toBe(8192);
    expect(second.handle.query("SELECT * FROM t").all()).toEqual([]);
  });

  test("refuses a state directory that another user could write", () => {
    fs.mkdirSync(`${root}/state`);
    fs.chmodSync(`${root}/state`, 0o775);
    expect(caught(() => openDatabase(options())).code).toBe("STATE_NOT_TRUSTED");
  });

  test("refuses a database file with a second name", () => {
    openDatabase(options()).close();
    fs.linkSync(path, `${root}/second`);
    expect(caught(() => openDatabase(options())).code).toBe("STATE_NOT_TRUSTED");
  });

  test("a reader finds nothing where there is no database", () => {
    expect(openDatabaseForReading(options())).toBeUndefined();
  });
});

describe.skipIf(!isRoot)("full and read-only disks", () => {
  test("a database is read and written at 0 bytes free", () => {
    const done = withMount(`${root}/state`, 4096, () => {
      const first = openDatabase(options({ reserveBytes: 512 * 1024 }));
      insert(first, "before");
      first.close();
      fill(`${root}/state`);
      for (let round = 0; round < 5; round += 1) {
        using database = openDatabase(options({ reserveBytes: 512 * 1024 }));
        insert(database, `full ${round}`);
      }
      expect(texts()?.length).toBe(6);
    });
    if (!done) console.log("skipped: mount is not allowed here");
  });

  test("a write that does not fit is DATABASE_FULL, kind no-space, and changes nothing", () => {
    const done = withMount(`${root}/state`, 2048, () => {
      const database = openDatabase(options({ reserveBytes: 128 * 1024 }));
      insert(database, "before");
      fill(`${root}/state`);
      const error = caught(() => insert(database, "x".repeat(2_000_000)));
      expect([error.kind, error.code]).toEqual(["no-space", "DATABASE_FULL"]);
      database.close();
      expect(texts()).toEqual(["before"]);
    });
    if (!done) console.log("skipped: mount is not allowed here");
  });

  test("a read-only file system is read with and without a WAL, and refused for changes", () => {
    const done = withMount(`${root}/state`, 4096, () => {
      const first = openDatabase(options());
      insert(first, "kept");
      first.close();
      Bun.spawnSync(["mount", "-o", "remount,ro", `${root}/state`]);
      expect(texts()).toEqual(["kept"]);
      const error = caught(() => openDatabase(options()));
      expect(error.kind).toBe("read-only");
      Bun.spawnSync(["mount", "-o", "remount,rw", `${root}/state`]);
      fs.rmSync(`${path}-shm`);
      Bun.spawnSync(["mount", "-o", "remount,ro", `${root}/state`]);
      expect(texts()).toEqual(["kept"]);
      Bun.spawnSync(["mount", "-o", "remount,rw", `${root}/state`]);
      fs.rmSync(`${path}-wal`);
      Bun.spawnSync(["mount", "-o", "remount,ro", `${root}/state`]);
      expect(texts()).toEqual(["kept"]);
    });
    if (!done) console.log("skipped: mount is not allowed here");
  });
});
