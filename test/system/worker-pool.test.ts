// Which worker takes which job.

import { expect, test } from "bun:test";
import { createDesk, type Seat } from "../../src/system/worker-pool.ts";

const workers = ["first", "second"].map((name) => ({ name }) as unknown as Worker);

/** Takes a seat. @returns the worker's name now, or undefined where the job has to wait */
async function takeNow(desk: ReturnType<typeof createDesk>, isLong: boolean) {
  const taken = { seat: undefined as Seat | undefined };
  void desk.take(isLong).then((seat) => (taken.seat = seat));
  await Promise.resolve();
  return taken;
}

test("long jobs go to idle workers, one each, and nothing waits behind one", async () => {
  const desk = createDesk(workers);
  const one = await takeNow(desk, true);
  const two = await takeNow(desk, true);
  expect(new Set([one.seat?.worker, two.seat?.worker])).toEqual(new Set(workers));
  const three = await takeNow(desk, true);
  const short = await takeNow(desk, false);
  expect([three.seat, short.seat]).toEqual([undefined, undefined]);
  desk.giveBack(one.seat as Seat);
  await Promise.resolve();
  expect(three.seat?.worker).toBe(one.seat?.worker as Worker);
  expect(short.seat).toBeUndefined();
  desk.giveBack(two.seat as Seat);
  await Promise.resolve();
  expect(short.seat?.worker).toBe(two.seat?.worker as Worker);
});

test("a short job may wait behind one short job, so that no worker idles between two", async () => {
  const desk = createDesk(workers);
  const seats = [];
  for (let job = 0; job < 5; job += 1) seats.push(await takeNow(desk, false));
  const names = seats.map(({ seat }) => workers.indexOf(seat?.worker as Worker));
  expect(names.slice(0, 2).toSorted()).toEqual([0, 1]);
  expect(names.slice(0, 4).toSorted()).toEqual([0, 0, 1, 1]);
  expect(seats[4]?.seat).toBeUndefined();
});
