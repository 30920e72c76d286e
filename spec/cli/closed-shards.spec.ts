// Commands about rows on a closed store of several shards: what they say is what they say of one shard.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { adagrad, openStore } from "../../lib/index.js";
import { NodeProcess } from "../node/node-process.js";
import { runHere } from "./run-command.js";

const test = suite<{ home: string; many: string; one: string }>("commands on several closed shards");

test.before(async (context) => {
  context.home = mkdtempSync(join(tmpdir(), "closed-shards-spec-"));
  context.many = join(context.home, "many");
  context.one = join(context.home, "one");
  for (const [directory, threads] of [[context.many, 2] as const, [context.one, 1] as const]) {
    const store = await openStore(directory, { threads, checkpoint: false, hugePages: "off" });
    const items = await store.table("items", { dim: 2, optimizer: adagrad({ learningRate: 0.1 }) });
    for (let step = 1; step <= 3; step++) {
      const keys = BigUint64Array.from({ length: 40 * step }, (_, i) => BigInt(i));
      await items.push(
        keys,
        Float32Array.from({ length: 2 * keys.length }, (_, i) => i / step),
        { step },
      );
    }
    await store.close();
  }
});
test.after(({ home }) => rmSync(home, { recursive: true, force: true }));

async function said(...args: string[]): Promise<unknown> {
  const { code, out, err } = await runHere([...args, "--json"]);
  assert.is(code, 0, err);
  return JSON.parse(out);
}

test("rows, the hottest, and how they are spread", async ({ many, one }) => {
  const questions: [string, ...string[]][] = [
    ["inspect", "--table", "items", "--keys", "0,5,77,5000"],
    ["top", "--table", "items", "-n", "7"],
    ["histogram", "--table", "items", "--of", "age"],
  ];
  for (const [command, ...rest] of questions) {
    const answer = await said(command, many, ...rest);
    assert.equal(answer, await said(command, one, ...rest), `${command} ${rest}`);
  }
});

test("rows go out and come in", async ({ home, many, one }) => {
  const file = join(home, "items.safetensors");
  const exported = (await said("export", many, file, "--table", "items", "--state")) as { rows: number };
  assert.is(exported.rows, 120);
  await said("import", one, file, "--table", "copy");
  const keys = ["--keys", "0,5,77,5000"];
  const { rows } = (await said("inspect", one, "--table", "copy", ...keys)) as { rows: unknown };
  assert.equal(rows, ((await said("inspect", many, "--table", "items", ...keys)) as { rows: unknown }).rows);
  const imported = (await said("import", many, file, "--table", "back")) as { rows: number };
  assert.is(imported.rows, 120);
});

test("rows are evicted in every shard", async ({ many, one }) => {
  const args = ["--table", "items", "--below-frequency", "2"];
  assert.equal(await said("evict", many, ...args), await said("evict", one, ...args));
  const { tables } = (await said("inspect", many)) as { tables: { rows: number }[] };
  assert.is(tables[0].rows, 80);
});

test("versions are those of all shards, and so is a number of rows to evict", async ({ home, many }) => {
  assert.equal(await said("versions", "list", many), { versions: [] });
  const wrong: [string[], RegExp][] = [
    [["inspect", many, "--table", "items", "--keys", "1", "--at", "v"], /^error VERSION_NOT_FOUND: .*"v"/],
    [
      ["export", many, join(home, "since.safetensors"), "--table", "items", "--since", "v"],
      /^error VERSION_NOT_FOUND: .*"v"/,
    ],
  ];
  for (const [command, line] of wrong) {
    const { code, err } = await runHere(command);
    assert.is(code, 1, command.join(" "));
    assert.match(err, line, command.join(" "));
  }
  assert.equal(await said("evict", many, "--table", "items", "--rows", "3"), { table: "items", evicted: 3 });
  const { tables } = (await said("inspect", many)) as { tables: { rows: number }[] };
  assert.is(tables[0].rows, 77);
});

test("versions of what a node serves are made by its directory, or its address", async ({ many }) => {
  const node = new NodeProcess(["--dir", many, "--shards", "2", "--listen", "127.0.0.1:0"]);
  try {
    const { listen } = await node.started();
    const address = `ember://${listen}`;
    await said("versions", "create", address, "first");
    await said("versions", "create", many, "second", "--note", "by its directory");
    for (const at of [many, address]) {
      const { versions } = (await said("versions", "list", at)) as {
        versions: { name: string; note: string }[];
      };
      assert.equal(
        versions.map(({ name, note }) => `${name} ${note}`),
        ["first ", "second by its directory"],
      );
    }
    const { tables } = (await said("versions", "diff", address, "first")) as {
      tables: { changed: number }[];
    };
    assert.is(tables[0].changed, 0);
    await said("versions", "rollback", address, "first");
    assert.equal(await said("versions", "delete", many, "first", "second"), { deleted: ["first", "second"] });
    const { code, err } = await runHere([
      "inspect",
      address,
      "--at",
      "first",
      "--table",
      "items",
      "--keys",
      "1",
    ]);
    assert.is(code, 1);
    assert.match(err, /^error VERSION_NOT_FOUND/);
  } finally {
    await node.stop();
  }
});

test("of a store that a node has open, its address is said", async ({ many }) => {
  const node = new NodeProcess(["--dir", many, "--shards", "2", "--listen", "127.0.0.1:0"]);
  try {
    const { listen, pid } = await node.started();
    for (const args of [
      ["inspect", many],
      ["top", many, "--table", "items"],
    ]) {
      const { code, err } = await runHere(args);
      assert.is(code, 1);
      assert.match(err, /^error LOCKED: /, args[0]);
      assert.ok(err.includes(`embershard status http://${listen}`) && err.includes(`${pid}`), err);
    }
  } finally {
    await node.stop();
  }
});

test.run();
