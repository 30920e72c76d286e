import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { type SlotRange, WriteOrder } from "../../lib/client/write-order.js";

const range = (sequence: number, first: number, last: number, more: Partial<SlotRange> = {}): SlotRange => ({
  owner: 0,
  epoch: 1,
  first,
  last,
  sequence,
  ...more,
});

test("a write waits for earlier ones to slots of its own, and for no others", async () => {
  const order = new WriteOrder();
  const first = order.enter(range(1, 0, 99));
  assert.is(first.turn, undefined);
  assert.is(order.enter(range(1, 100, 199)).turn, undefined, "another frame of the same write");
  assert.is(order.enter(range(2, 200, 300)).turn, undefined, "other slots");
  assert.is(order.enter(range(3, 0, 99, { owner: 1 })).turn, undefined, "another owner");
  const waits = order.enter(range(4, 99, 120));
  let went = false;
  waits.turn!.then(() => {
    went = true;
  });
  await Promise.resolve();
  first.leave();
  await new Promise((resolve) => setImmediate(resolve));
  assert.is(went, false, "the second frame of write 1 is not done");
});

test("by another map any slot may be another owner's: a write waits for all that went by the old one", async () => {
  const order = new WriteOrder();
  const old = order.enter(range(1, 0, 9, { owner: 3 }));
  const next = order.enter(range(2, 500, 600, { epoch: 2 }));
  assert.ok(next.turn);
  old.leave();
  await next.turn;
  assert.is(order.enter(range(3, 0, 9, { epoch: 2, owner: 3 })).turn, undefined);
});

test("whatever comes: writes to a slot leave in the order of their sequences, and none waits for ever", async () => {
  const random = new Prng(11);
  const order = new WriteOrder();
  const seen = new Map<string, number>();
  const all: Promise<void>[] = [];
  for (let sequence = 1; sequence <= 300; sequence++) {
    const owner = random.below(3);
    const first = random.below(50);
    const entered = range(sequence, first, first + random.below(10), { owner });
    const { turn, leave } = order.enter(entered);
    const turns = random.below(5);
    all.push(
      (async () => {
        await turn;
        for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
        for (let slot = entered.first; slot <= entered.last; slot++) {
          const key = `${owner}/${slot}`;
          assert.ok((seen.get(key) ?? 0) < sequence, `${key}: ${sequence} after ${seen.get(key)}`);
          seen.set(key, sequence);
        }
        leave();
      })(),
    );
  }
  await Promise.all(all);
  assert.is(order.enter(range(1000, 0, 99)).turn, undefined);
});

test.run();
