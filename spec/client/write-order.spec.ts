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

test("one that gives up before its turn is no gap through which others overtake those before it", async () => {
  const order = new WriteOrder();
  const first = order.enter(range(1, 0, 99));
  const given = order.enter(range(2, 0, 99));
  const last = order.enter(range(3, 0, 99));
  let went = false;
  last.turn!.then(() => {
    went = true;
  });
  given.leave();
  given.leave();
  await new Promise((resolve) => setImmediate(resolve));
  assert.is(went, false);
  assert.ok(order.busy);
  first.leave();
  await last.turn;
  last.leave();
  assert.not.ok(order.busy);
  assert.is(order.enter(range(4, 0, 99)).turn, undefined);
});

/** What waits for whom, by looking at all that were before. */
class Model {
  readonly entries: (SlotRange & { left: boolean })[] = [];

  /** Whether nothing before it that has to do with it, or with such, is under way. */
  mayGo(range: SlotRange): boolean {
    return this.entries
      .filter(
        (one) =>
          one.sequence < range.sequence &&
          (one.epoch !== range.epoch ||
            (one.owner === range.owner && one.first <= range.last && range.first <= one.last)),
      )
      .every((one) => one.left && this.mayGo(one));
  }
}

test("turns come exactly when all before are over: frames, owners, maps, and such as give up", async () => {
  for (let seed = 0; seed < 40; seed++) {
    const random = new Prng(seed);
    const order = new WriteOrder();
    const model = new Model();
    const under: { range: (typeof model.entries)[0]; leave: () => void; went: boolean }[] = [];
    let epoch = 1;
    let sequence = 0;
    for (let step = 0; step < 60; step++) {
      if (random.below(15) === 0) epoch++;
      if (random.below(3) > 0) {
        sequence++;
        // Frames of one write share no slot.
        for (let first = random.below(30); first < 50; first += 25) {
          const last = first + random.below(25);
          const entered = { ...range(sequence, first, last, { owner: random.below(2), epoch }), left: false };
          const { turn, leave } = order.enter(entered);
          assert.is(turn === undefined, model.mayGo(entered), `seed ${seed}, step ${step}`);
          model.entries.push(entered);
          const one = { range: entered, leave, went: turn === undefined };
          void turn?.then(() => {
            one.went = true;
          });
          under.push(one);
        }
      } else if (under.length > 0) {
        const [one] = under.splice(random.below(under.length), 1);
        one.range.left = true;
        one.leave();
      }
      await new Promise((resolve) => setImmediate(resolve));
      for (const one of under) assert.is(one.went, model.mayGo(one.range), `seed ${seed}, step ${step}`);
      assert.is(order.busy, under.length > 0);
    }
    for (const one of under) one.leave();
    assert.is(order.enter(range(1e6, 0, 99, { epoch: 99 })).turn, undefined);
  }
});

test("tens of thousands wait at once, each for the one before it", async () => {
  const order = new WriteOrder();
  const places = Array.from({ length: 50_000 }, (_, i) => order.enter(range(i + 1, 0, 16_383)));
  // From the last to the first: all of them go when the first does.
  for (const place of places.toReversed()) place.leave();
  await places[49_999].turn;
  assert.not.ok(order.busy);
});

test.run();
