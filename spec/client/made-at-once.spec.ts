// Tables that two clients make at once, of different options.
import * as assert from "uvu/assert";
import { type EmbershardError, sgd } from "../../lib/index.js";
import { clientSuite, served } from "./client-suite.js";

const test = clientSuite("tables made at once");

test("one of two makes it on all shards, and the other is told that it differs", async (context) => {
  const cluster = await served(context, 3);
  const dims = [4, 8];
  const stores = await Promise.all(dims.map((dim) => cluster.connect({}, `client-${dim}`)));
  context.stores.push(...stores);
  await Promise.all(stores.map((store) => store.tables()));
  cluster.network.setFaults({ delayMs: [0, 3] });
  for (let round = 0; round < 12; round++) {
    const name = `table-${round}`;
    const made = await Promise.all(
      stores.map((store, i) =>
        store.table(name, { dim: dims[i], optimizer: sgd({ learningRate: 1 }) }).then(
          () => "made",
          ({ code }: EmbershardError) => code,
        ),
      ),
    );
    assert.equal([...made].sort(), ["TABLE_MISMATCH", "made"], name);
    const { options } = await stores[0].table(name);
    assert.is(options.dim, dims[made.indexOf("made")]);
  }
});

test.run();
