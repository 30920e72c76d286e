// Candidates and the counters of sketches come back to the bit, from pages, from the log, and from both.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import type { EmbeddedStore } from "../../lib/embedded/embedded-store.js";
import { type AdmissionOptions, constant, sgd } from "../../lib/index.js";
import { KIND_ROWS } from "../../lib/kernel/layout.js";
import type { Shard } from "../../lib/shard/shard.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { randomFloats, randomKeys, Twin } from "../laws/twin.js";

const ways: Readonly<Record<string, AdmissionOptions>> = {
  exact: { after: 3 },
  narrow: { after: 4, counter: { sketchBytes: 3 << 20 } },
  wide: { probability: 0.1, counter: { sketchBytes: 2 << 20 } },
};
const lineBytes = 64;

/** The counters of a table's sketch that are not 0, by "slot/place" as the oracle names them, read from its pages. */
function cellsOf(shard: Shard, name: string): Map<string, number> {
  const { candidates, definition } = shard.tables.get(name)!;
  const cells = new Map<string, number>();
  for (const arena of shard.state.arenas.all) {
    for (let page = arena.firstPage; page < arena.pagesEnd; page++) {
      if (arena.pageKind(page) !== KIND_ROWS || arena.pageTable(page) !== candidates!.index) continue;
      const bytes = arena.pageBytes(page, arena.pagePlaces(page) * candidates!.recordBytes);
      for (let row = 0; row < bytes.length; row += candidates!.recordBytes) {
        const view = new DataView(bytes.buffer, bytes.byteOffset + row, candidates!.recordBytes);
        if (view.getUint32(8, true) >>> 31 === 0) continue;
        const slot = view.getBigUint64(0, true);
        const width = definition.admission!.probability === undefined ? 1 : 2;
        for (let at = lineBytes; at < candidates!.recordBytes; at += width) {
          const value = width === 1 ? view.getUint8(at) : view.getUint16(at, true);
          if (value > 0) cells.set(`${slot}/${(at - lineBytes) / width}`, value);
        }
      }
    }
  }
  return cells;
}

async function compare(shard: Shard, store: EmbeddedStore, twins: readonly Twin[]): Promise<void> {
  for (const twin of twins) {
    twin.table = await store.table(twin.table.name);
    await twin.compareAll();
    if (twin.table.options.admission!.counter === "exact") continue;
    const found = cellsOf(shard, twin.table.name);
    const { cells } = twin.oracle.candidates!;
    assert.is(found.size, cells.size);
    assert.ok(found.size > 1000);
    for (const [cell, value] of cells) if (found.get(cell) !== value) assert.is(found.get(cell), value, cell);
  }
}

for (const logged of [true, false]) {
  test(`${logged ? "logged" : "unlogged"} tables: what was counted is what the oracle counted`, async () => {
    const disk = new MemoryDisk(1);
    const random = new Prng(2);
    let store = await disk.open();
    const twins: Twin[] = [];
    for (const [name, admission] of Object.entries(ways)) {
      const optimizer = sgd({ learningRate: 0.5 });
      twins.push(
        await Twin.open(store, name, { dim: 2, optimizer, initializer: constant(1), logged, admission }),
      );
    }
    const write = async (times: number) => {
      for (let i = 0; i < times; i++) {
        for (const twin of twins) {
          const keys = randomKeys(random, 400, 4000);
          await twin.push(keys, randomFloats(random, 800), { step: i + 1 });
          if (random.below(4) === 0) await twin.delete(randomKeys(random, 100, 4000));
          if (random.below(8) === 0) await twin.pull(randomKeys(random, 20, 4000));
        }
      }
    };
    await write(10);
    await compare(disk.shard!, store, twins);
    // Writes beside a checkpoint: some pages have them, others take them from the log.
    await Promise.all([store.checkpoint(), write(3)]);
    if (!logged) await store.checkpoint();
    else await write(5);
    disk.kill();
    for (let i = 0; i < 2; i++) {
      store = await disk.open();
      await compare(disk.shard!, store, twins);
      await write(2);
      await compare(disk.shard!, store, twins);
      if (!logged) await store.checkpoint();
      await store.close();
    }
    store = await disk.open();
    await compare(disk.shard!, store, twins);
    // What is forgotten stays forgotten, and its places serve again.
    for (const twin of twins) {
      await twin.table.forgetCandidates();
      twin.oracle.candidates!.forgetAll();
    }
    await write(3);
    await compare(disk.shard!, store, twins);
    await store.checkpoint();
    disk.kill();
    store = await disk.open();
    await compare(disk.shard!, store, twins);
    await store.close();
  });
}

test.run();
