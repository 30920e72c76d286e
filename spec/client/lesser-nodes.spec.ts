// What a node does not do is refused by the client, by name, before anything is sent.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { adagrad } from "../../lib/index.js";
import { featureBits } from "../../lib/wire/handshake.js";
import { narrowTypes } from "../laws/narrow.js";
import { same } from "../laws/twin.js";
import { overLesserNodes } from "./lesser-node.js";
import { ServedCluster } from "./served-cluster.js";

const test = suite("lesser nodes");
const options = { dim: 4, optimizer: adagrad({ learningRate: 0.1 }) };
const keys = BigUint64Array.of(1n, 2n, 3n);
const gradients = new Float32Array(12).fill(1);

test("rows of a type, and gradients of one, over nodes that know all others", async () => {
  const cluster = await ServedCluster.open(2);
  const whole = await cluster.connect();
  const there = await whole.table("items", options);
  await there.assign(keys, new Float32Array(12).fill(2));
  const rows = await there.pull(keys);
  for (const type of narrowTypes) {
    const others = featureBits(...narrowTypes.filter((one) => one !== type));
    const transport = overLesserNodes(cluster.network.transport("client"), others);
    const connect = (asked: object) => cluster.connect(asked, "client", transport);

    const refused = async (work: () => Promise<unknown>, what: string) => {
      const before = cluster.bytesIn;
      try {
        await work();
      } catch (error) {
        const { code, message } = error as { code: string; message: string };
        assert.is(code, "UNSUPPORTED", message);
        assert.match(message, `does not support ${what} as ${type}`);
        assert.is(cluster.bytesIn, before, `${what} as ${type}: nothing is sent`);
        return;
      }
      throw new Error(`${what} as ${type} were taken`);
    };

    const puller = await connect({ transfer: type });
    const items = await puller.table("items");
    // A question first: connections to all shards are there then.
    same(await items.contains(keys), new Uint8Array(3).fill(1), type);
    await refused(() => items.pull(keys), "rows");
    await refused(() => puller.pull([{ table: items, keys }]), "rows");
    same(await items.contains(keys), new Uint8Array(3).fill(1), `${type}: the connection stays`);
    await puller.close();

    if (type === "int8") continue;
    const pusher = await connect({ gradients: type });
    const pushed = await pusher.table("items");
    same(await pushed.pull(keys), rows, type);
    await refused(() => pushed.push(keys, gradients), "gradients");
    same(await pushed.pull(keys), rows, `${type}: nothing has changed`);
    await pushed.assign(keys, rows);
    await pusher.close();
  }
  await whole.close();
  await cluster.stop();
  assert.equal(cluster.failures, []);
});

test("a node that knows none of them does the rest", async () => {
  const cluster = await ServedCluster.open(1);
  const transport = overLesserNodes(cluster.network.transport("client"), 0);
  const store = await cluster.connect({}, "client", transport);
  const table = await store.table("items", options);
  await table.push(keys, gradients);
  const read = await table.pull(keys);
  await store.close();
  const whole = await cluster.connect();
  same(await (await whole.table("items")).pull(keys), read, "rows");
  await whole.close();
  await cluster.stop();
});

test.run();
