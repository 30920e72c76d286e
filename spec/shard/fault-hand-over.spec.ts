import { test } from "uvu";
import * as assert from "uvu/assert";
import { encodeInitializer } from "../../lib/api/initializers.js";
import { encodeOptimizer } from "../../lib/api/optimizers.js";
import { Prng } from "../../lib/base/prng.js";
import { sgd } from "../../lib/index.js";
import { OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { readContents } from "../chaos/world.js";
import { FaultyMachine } from "./fault-fixture.js";

const dim = 512;

// Sections of one record met in one page, and replay took the first of them only: pushes to rows that moved were lost.
test("writes that move rows to a new arena are recovered whole after a kill", async () => {
  const machine = new FaultyMachine(1);
  // The first to pause once the hand-over has begun is who moves rows between requests: it never gets its turn.
  let held = false;
  const pause = (): Promise<void> => {
    if (held || !shard.state.arenas.moving) return new Promise((resolve) => setImmediate(resolve));
    held = true;
    return new Promise(() => {});
  };
  const { store, shard } = await machine.open({
    logBufferBytes: 1 << 22,
    segmentBytes: 1 << 24,
    arenaBytes: 64 << 20,
    pause,
  });
  const table = await store.table("wide", { dim, optimizer: sgd({ learningRate: 0.5, momentum: 0.5 }) });
  const oracle = new OracleTable({
    dim,
    seed: BigInt(table.options.seed),
    optimizer: encodeOptimizer(table.options.optimizer),
    initializer: encodeInitializer(table.options.initializer),
    learningRate: 0.5,
  });
  const random = new Prng(5);
  const push = (keys: BigUint64Array) => {
    const gradients = new Float32Array(keys.length * dim).fill(random.unit());
    oracle.push(keys, gradients);
    return table.push(keys, gradients);
  };
  for (let next = 0; shard.state.arenas.moving === undefined; next += 100) {
    await push(BigUint64Array.from({ length: 100 }, (_, i) => BigInt(next + i)));
  }
  for (let i = 0; i < 12; i++) {
    const keys = BigUint64Array.from({ length: 30 }, () => BigInt(random.below(9000)));
    await push(keys);
    const gone = BigUint64Array.from({ length: 10 }, () => BigInt(random.below(9000)));
    oracle.delete(gone);
    await table.delete(gone);
  }
  assert.ok(shard.state.arenas.moving && !shard.state.arenas.moving.done, "rows are still being handed over");
  machine.kill();
  const { store: recovered } = await machine.open({ arenaBytes: 64 << 20 });
  assert.is(oracle.difference((await readContents(recovered)).tables.get("wide")!.rows), undefined);
  await recovered.close();
});

test.run();
