// Scans whose table somebody else drops: they end, at the node too.
import * as assert from "uvu/assert";
import { sgd } from "../../lib/index.js";
import { codeOf } from "../laws/twin.js";
import { clientSuite, keys, served } from "./client-suite.js";

const test = clientSuite("scans of tables that are dropped");

for (const anew of [false, true])
  test(`any number of them, ${anew ? "also where a table is made anew" : "one after the other"}`, async (context) => {
    await served(context, 2);
    const [reader, other] = [await context.cluster.connect(), await context.cluster.connect()];
    context.stores.push(reader, other);
    const definition = { dim: 1, optimizer: sgd({ learningRate: 1 }) };
    // A connection may have 64 at once.
    for (let i = 0; i < 66; i++) {
      const table = await reader.table("passing", definition);
      await table.push(keys, new Float32Array(keys.length));
      const scan = table.scan({ batch: 1 })[Symbol.asyncIterator]();
      await scan.next();
      await other.dropTable("passing");
      if (anew) await other.table("passing", definition);
      assert.is(await codeOf(async () => void (await scan.next())), "TABLE_NOT_FOUND");
      if (anew) await other.dropTable("passing");
    }
  });

test.run();
