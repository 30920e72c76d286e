import { test } from "uvu";
import * as assert from "uvu/assert";
import { sgd } from "../../lib/index.js";
import { FaultyMachine } from "./fault-fixture.js";

const keys = BigUint64Array.of(1n);
const one = Float32Array.of(1);

test("a mark of a push that touched unlogged tables only is not recovered without the push", async () => {
  const machine = new FaultyMachine(1);
  const { store, shard } = await machine.open();
  const logged = await store.table("logged", { dim: 1, optimizer: sgd({ learningRate: 1 }) });
  const unlogged = await store.table("unlogged", {
    dim: 1,
    optimizer: sgd({ learningRate: 1 }),
    logged: false,
  });
  await logged.push(keys, one, { mark: Uint8Array.of(1) });
  await unlogged.push(keys, one);
  // A checkpoint that never ends: while it runs, unlogged tables are logged.
  machine.pages.schedule = () => new Promise(() => {});
  void store.checkpoint();
  while (!shard.state.draining) await new Promise((resolve) => setImmediate(resolve));
  const before = shard.state.log.nextLsn;
  await unlogged.push(keys, one, { mark: Uint8Array.of(2) });
  assert.is(shard.state.log.nextLsn, before + 1, "the push was logged");
  await shard.state.log.written(before);
  machine.kill();
  const { store: recovered } = await machine.open();
  assert.equal(await recovered.mark(), Uint8Array.of(1));
  assert.equal(await (await recovered.table("logged")).pull(keys), Float32Array.of(-1));
  assert.equal(await (await recovered.table("unlogged")).contains(keys), Uint8Array.of(0));
  await recovered.close();
});

test.run();
