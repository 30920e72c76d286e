// Slots of keys and placements against what make-placements.py says, which knows docs/placement.md only.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { instantiateKernel } from "../../lib/kernel/kernel.js";
import { SCRATCH } from "../../lib/kernel/layout.js";
import { xxh64OfWord } from "../../lib/ring/hash.js";
import type { Member } from "../../lib/ring/members.js";
import { slotsByNode } from "../../lib/ring/moves.js";
import { firstMap, nextMap } from "../../lib/ring/placement.js";
import { placementFingerprint, type SlotMap } from "../../lib/ring/slot-map.js";
import { Ring } from "../../lib/ring/virtual-nodes.js";

interface GoldenMap {
  readonly members: readonly Member[];
  readonly counts: Readonly<Record<string, number>>;
  /** By slot: its owner and the nodes of its copies. */
  readonly replicas: Readonly<Record<string, readonly string[]>>;
  readonly fingerprint: string;
}

type Golden =
  | { kind: "slot"; key: string; placement: string; slot: number }
  | { kind: "placement"; title: string; slots: number; maps: readonly GoldenMap[] };

const goldens = readFileSync(new URL("../../../spec/golden/placements.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Golden);

test("golden slots of keys", () => {
  const { exports, memory } = instantiateKernel(0);
  const keys = new BigUint64Array(memory.buffer, SCRATCH, 1);
  const slots = new Uint16Array(memory.buffer, SCRATCH + 8, 1);
  const tested = goldens.flatMap((golden) => (golden.kind === "slot" ? [golden] : []));
  assert.is(tested.length, 200);
  for (const { key, placement, slot } of tested) {
    keys[0] = BigInt(key);
    exports.slotsOf(SCRATCH, 1, BigInt(placement), SCRATCH + 8);
    assert.is(slots[0], slot, `key ${key}, placement seed ${placement}`);
    assert.is(Number(xxh64OfWord(BigInt(key), BigInt(placement)) >> 50n), slot);
  }
});

test("golden placements, each from the one before", () => {
  const tested = goldens.flatMap((golden) => (golden.kind === "placement" ? [golden] : []));
  assert.is(tested.length, 5);
  for (const { title, slots, maps } of tested) {
    let map: SlotMap | undefined;
    for (const [i, { members, counts, replicas, fingerprint }] of maps.entries()) {
      map = map ? nextMap(map, members) : firstMap(members, { slots });
      const said = `${title}, map ${i}`;
      assert.equal(Object.fromEntries(slotsByNode(map)), counts, said);
      assert.is(placementFingerprint(map), fingerprint, said);
      const ring = new Ring(members, { slots });
      const names = ring.members.map(({ name }) => name);
      for (const [slot, nodes] of Object.entries(replicas)) {
        const owner = names.indexOf(map.owners[map.ownerOf[Number(slot)]].node);
        const set = ring.replicaSet(Number(slot), owner, nodes.length);
        assert.equal(
          set.map((member) => names[member]),
          nodes,
          `${said}, slot ${slot}`,
        );
      }
    }
  }
});

test.run();
