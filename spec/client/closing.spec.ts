// Stores that are closed while nobody answers.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EmbershardError } from "../../lib/base/errors.js";
import { cluster, connected, keys, outcome, push } from "./virtual-cluster.js";

for (const [deadlineMs, least, most, code] of [
  [0, 30_000, 37_000, "CLOSED"],
  [2000, 1000, 2000, "UNAVAILABLE"],
] as const)
  test(`with a deadline of ${deadlineMs} ms a store is closed though a node is away: what cannot be sent fails`, async () => {
    const { world, nodes, process } = cluster();
    for (const node of nodes) node.start();
    const opened = await outcome(world, connected(world, process, { deadlineMs }));
    const store = opened.value as Awaited<ReturnType<typeof connected>>;
    const { value } = await outcome(world, store.table("sums", world.tables.sums));
    const table = value as Awaited<ReturnType<typeof store.table>>;
    for (const node of nodes) node.end("kill");
    const pushed = [1, 2].map(() => push(world, table).catch((error: EmbershardError) => error.code));
    const { ms } = await outcome(world, store.close());
    assert.ok(ms >= least && ms <= most, `it took ${ms} ms`);
    assert.equal(await Promise.all(pushed), [code, code]);
    for (const node of nodes) node.start();
    const again = await outcome(
      world,
      connected(world, process, { session: 2n }).then((other) => other.table("sums")),
    );
    const rows = await outcome(world, (again.value as typeof table).pull(keys));
    assert.equal(new Set(rows.value as Float32Array), new Set([0]));
  });

test.run();
