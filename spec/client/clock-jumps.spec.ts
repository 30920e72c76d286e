// Clocks that somebody sets, by hours: a client's and a node's. What is an interval takes as long as it would have.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import { RateMeter } from "../../lib/node/rate-meter.js";
import { noCounts } from "../../lib/node/shard-figures.js";
import { TestClock } from "../node/test-clock.js";
import { cluster, connected, keys, openTable, outcome, push } from "./virtual-cluster.js";

const hours = 3_600_000;

for (const by of [5 * hours, -5 * hours]) {
  const where = by > 0 ? "forward" : "back";

  test(`a client's clock is set ${where} while a push is tried again: it goes on until its deadline`, async () => {
    const { world, nodes, process } = cluster();
    for (const node of nodes) node.start();
    const table = await openTable(world, process, { deadlineMs: 10_000 });
    for (const node of nodes) node.end("kill");
    const pushed = outcome(world, push(world, table));
    await world.clock.pass(500);
    process.clock.jump(by);
    await world.clock.pass(2000);
    for (const node of nodes) node.start();
    const { value } = await pushed;
    assert.is(value, undefined);
    const pulled = await outcome(world, table.pull(keys));
    assert.equal(new Set(pulled.value as Float32Array), new Set([-1]), "once");
    for (const node of nodes) node.end("kill");
    const refused = outcome(world, push(world, table));
    process.clock.jump(by);
    const { value: error, ms } = await refused;
    assert.ok(error instanceof EmbershardError, "nobody is there");
    assert.ok(ms > 8500 && ms <= 10_000, `it gave up after ${ms} ms`);
  });

  test(`a client's clock is set ${where} while it connects: it gives up after five seconds`, async () => {
    const { world, process } = cluster();
    const opening = outcome(world, connected(world, process));
    process.clock.jump(by);
    const { value, ms } = await opening;
    assert.is((value as EmbershardError).code, "UNAVAILABLE");
    assert.ok(ms > 4000 && ms <= 5500, `it gave up after ${ms} ms`);
  });

  test(`nodes' clocks are set ${where}: the worker is known, pushes are durable, once, and nodes stop`, async () => {
    const { world, nodes, process } = cluster();
    for (const node of nodes) node.start();
    const table = await openTable(world, process);
    for (let i = 1; i <= 3; i++) {
      for (const node of nodes) node.jumpClock(by);
      const { value, ms } = await outcome(world, push(world, table, "fsync"));
      assert.is(value, undefined);
      assert.ok(ms < 1000, `a push took ${ms} ms`);
      await world.clock.pass(2000);
    }
    for (const node of nodes) await outcome(world, node.stop(1000));
    for (const node of nodes) node.start();
    const { value } = await outcome(world, table.pull(keys));
    assert.equal(new Set(value as Float32Array), new Set([-3]));
  });

  test(`the clock is set ${where}: rates are what they were`, () => {
    const clock = new TestClock();
    const counts = noCounts();
    const meter = new RateMeter(counts, clock);
    for (let second = 0; second < 10; second++) {
      counts.rowsRead += 100;
      if (second === 8) clock.set(by);
      clock.pass(1000);
    }
    assert.is(meter.rates().rowsRead, 100);
  });
}

test.run();
