import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import { movesBetween, slotsByNode } from "../../lib/ring/moves.js";
import { firstMap, nextMap } from "../../lib/ring/placement.js";
import {
  ownersOfRuns,
  placementFingerprint,
  readSlotMap,
  runsOf,
  type SlotMapJson,
  slotMapJson,
} from "../../lib/ring/slot-map.js";

const three = ["a", "b", "c"].map((name) => ({ name, shards: 2, host: `${name}.example`, port: 7400 }));

test("runs are what owners are, and owners what runs are", () => {
  const lists = fc.array(fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 900 })), { minLength: 1 });
  const property = fc.property(lists, (list) => {
    const ownerOf = Uint16Array.from(list.flatMap(([owner, n]) => new Array<number>(n).fill(owner)));
    const runs = runsOf(ownerOf);
    assert.equal(ownersOfRuns(runs, ownerOf.length, 6), ownerOf);
    for (let i = 1; i < runs.owners.length; i++) assert.is.not(runs.owners[i], runs.owners[i - 1]);
  });
  fc.assert(property, { seed: 1 });
  assert.equal(runsOf(new Uint16Array(65_536)), {
    owners: Uint16Array.of(0),
    lengths: Uint32Array.of(65_536),
  });
  assert.equal(runsOf(Uint16Array.of(3, 3, 1)), {
    owners: Uint16Array.of(3, 1),
    lengths: Uint32Array.of(2, 1),
  });
});

test("a map comes back from JSON as it was, and is short", () => {
  const map = nextMap(firstMap(three), [...three, { name: "d" }]);
  const text = JSON.stringify(slotMapJson(map));
  assert.equal(readSlotMap(JSON.parse(text)), map);
  assert.ok(text.length < 16_384 / 2, `${text.length} characters`);
});

test("what is no slot map is refused", () => {
  const good = slotMapJson(firstMap(three, { slots: 16 }));
  assert.is(readSlotMap(good).ownerOf.length, 16);
  const owner = good.owners[0];
  const one = { runOwners: [0], runLengths: [16] };
  const wrong: [unknown, RegExp][] = [
    [null, /found null/],
    [5, /found 5/],
    [{}, /no owners/],
    [{ ...good, epoch: 0 }, /epoch 0/],
    [{ ...good, epoch: "1" }, /epoch 1/],
    [{ ...good, slots: 17 }, /17 slots/],
    [{ ...good, slots: 2 ** 40 }, /slots, expected a power of two/],
    [{ ...good, slots: "16" }, /16 slots/],
    [{ ...good, slots: 32 }, /owners of 16 slots, expected of 32/],
    [{ ...good, slots: 8 }, /a run of/],
    [{ ...good, ...one, runLengths: [15] }, /owners of 15 slots/],
    [{ ...good, ...one, runOwners: [0, 1] }, /2 owners of 1 runs/],
    [{ ...good, ...one, runLengths: undefined }, /no whole numbers/],
    [{ ...good, ...one, runLengths: [15.5] }, /no whole numbers/],
    [{ ...good, ...one, runLengths: [null] }, /no whole numbers/],
    [{ ...good, ...one, runLengths: [0] }, /a run of 0 from slot 0/],
    [{ ...good, ...one, runLengths: [-1] }, /a run of -1/],
    [{ ...good, ...one, runLengths: [17] }, /a run of 17 from slot 0, expected 1 to 16/],
    [{ ...good, ...one, runOwners: [6] }, /owner 6, expected one of 6/],
    [{ ...good, ...one, runOwners: [-1] }, /owner -1/],
    [{ ...good, owners: [], runOwners: [], runLengths: [] }, /owners of 0 slots/],
    [{ ...good, ...one, owners: [null] }, /without a node's name/],
    [{ ...good, ...one, owners: [{ ...owner, node: "" }] }, /without a node's name/],
    [{ ...good, ...one, owners: [{ ...owner, host: 5 }] }, /without a node's name/],
    [{ ...good, ...one, owners: [{ ...owner, host: "h".repeat(256) }] }, /256 characters/],
    [{ ...good, ...one, owners: [{ ...owner, shard: -1 }] }, /shard -1/],
    [{ ...good, ...one, owners: [{ ...owner, port: 65_536 }] }, /port 65536/],
    [{ ...good, ...one, owners: [owner, owner] }, /two owners a\/0/],
  ];
  for (const [json, message] of wrong) {
    try {
      readSlotMap(json);
      assert.unreachable(JSON.stringify(json));
    } catch (error) {
      assert.instance(error, EmbershardError);
      assert.is((error as EmbershardError).code, "BAD_FRAME");
      assert.match((error as EmbershardError).message, message);
    }
  }
});

test("a fingerprint follows who owns what, and nothing else", () => {
  const map = firstMap(three, { slots: 16 });
  const same = readSlotMap({ ...slotMapJson(map), epoch: 9 } satisfies SlotMapJson);
  assert.is(placementFingerprint(same), placementFingerprint(map));
  assert.match(placementFingerprint(map), /^[0-9a-f]{16}$/);
  const ownerOf = map.ownerOf.slice();
  ownerOf[3] = (ownerOf[3] + 1) % 6;
  assert.is.not(placementFingerprint({ ...map, ownerOf }), placementFingerprint(map));
  const owners = map.owners.map((owner) => ({ ...owner, node: `${owner.node}2` }));
  assert.is.not(placementFingerprint({ ...map, owners }), placementFingerprint(map));
});

test("moves and slots are told by node", () => {
  const map = firstMap(three);
  assert.equal(
    [...slotsByNode(map)],
    [
      ["a", 5462],
      ["b", 5461],
      ["c", 5461],
    ],
  );
  const four = nextMap(map, [...three, { name: "0" }]);
  assert.equal(movesBetween(map, four), [
    { from: "a", to: "0", slots: 1366 },
    { from: "b", to: "0", slots: 1365 },
    { from: "c", to: "0", slots: 1365 },
  ]);
  const resharded = nextMap(map, [{ ...three[0], shards: 4 }, three[1], three[2]]);
  assert.equal(movesBetween(map, resharded), [{ from: "a", to: "a", slots: 2730 }]);
  assert.equal(movesBetween(map, map), []);
});

test.run();
