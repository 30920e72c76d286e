// Exports to and imports from a real S3 server: parts, ranges, faults, what is interrupted and gone on with.
import { mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import {
  adagrad,
  exportTable,
  importTable,
  removeUnfinishedUploads,
  type Store,
  sgd,
} from "../../lib/index.js";
import { codeOf, randomFloats } from "../laws/twin.js";
import { ALL, fill, options, Place, sameRows, scanAll, someKeys } from "./fixture.js";
import { BUCKET, S3Server } from "./s3-server.js";

interface Context {
  place: Place;
  server: S3Server;
  store: Store;
}

const test = suite<Context>("S3");
test.before.each(async (context) => {
  context.place = new Place();
  context.server = await S3Server.start(context.place.path("s3"));
  context.store = await context.place.open("store");
});
test.after.each(async ({ place, server }) => {
  await server.close();
  await place.end();
});

/** A table whose file has four parts. */
async function largeTable(store: Store, name = "large", seed = 2): Promise<void> {
  const table = await store.table(name, { dim: 720, optimizer: sgd({ learningRate: 1 }) });
  const keys = someKeys(new Prng(1), 6000);
  await table.assign(keys, randomFloats(new Prng(seed), keys.length * 720));
}

/** A large table, exported, and what imports of it are given: one try of each request. */
async function largeObject({ store, server, place }: Context) {
  await largeTable(store);
  const target = `s3://${BUCKET}/rows.safetensors`;
  const scratch = place.path("scratch");
  const s3 = { s3: { ...server.options, tries: 1 }, scratch };
  await exportTable(store, "large", target, s3);
  return { store, server, target, scratch, s3 };
}

for (const name of ["rows.safetensors", "some where/rows", "rows.parquet"]) {
  test(`${name}: there and back`, async ({ store, server, place }) => {
    const table = await store.table("t", options);
    await fill(table, new Prng(3), 500);
    const target = `s3://${BUCKET}/${name}`;
    const s3 = { s3: server.options, scratch: place.path("scratch") };
    const { files } = await exportTable(store, "t", target, { ...s3, state: true });
    assert.ok(files.every((file) => file.startsWith(target)));
    await importTable(store, "u", target, s3);
    sameRows(await scanAll(await store.table("u")), await scanAll(table), ALL);
    assert.equal(readdirSync(place.path("scratch")), [], "no copies are left");
  });
}

test("a large file goes in parts and comes in ranges, through a server that fails now and then", async ({
  store,
  server,
  place,
}) => {
  await largeTable(store);
  const failures = new Map<string, number>();
  server.fault = (request) => {
    const times = (failures.get(request) ?? 0) + 1;
    failures.set(request, times);
    return times % 3 === 1 ? 503 : times % 3 === 2 ? "cut" : undefined;
  };
  const target = `s3://${BUCKET}/rows.safetensors`;
  const s3 = { s3: server.options, scratch: place.path("scratch") };
  const heard = new Set<string>();
  const onProgress = ({ phase, done, total }: { phase: string; done: number; total: number }) => {
    heard.add(phase);
    assert.ok(done <= total);
  };
  await exportTable(store, "large", target, { ...s3, onProgress });
  assert.is(server.requests.filter((request) => /^PUT .*partNumber/.test(request)).length, 3 * 4);
  await importTable(store, "back", target, { ...s3, onProgress });
  assert.equal([...heard].sort(), ["check", "download", "export", "import", "upload"]);
  sameRows(await scanAll(await store.table("back")), await scanAll(await store.table("large")), ALL);
  assert.equal(server.uploads(), []);
});

test("an upload that failed is gone on with: parts that are there stay there", async ({
  store,
  server,
  place,
}) => {
  await largeTable(store);
  const target = `s3://${BUCKET}/rows.safetensors`;
  const s3 = { s3: { ...server.options, tries: 2 }, scratch: place.path("scratch") };
  let parts = 0;
  server.fault = (request) => (/partNumber/.test(request) && ++parts > 3 ? 500 : undefined);
  assert.is(await codeOf(() => exportTable(store, "large", target, s3)), "IO");
  assert.is(server.uploads().length, 1);
  assert.is(await codeOf(() => importTable(store, "none", target, s3)), "IO", "nothing is there yet");
  server.fault = () => undefined;
  server.requests.length = 0;
  await exportTable(store, "large", target, s3);
  assert.is(
    server.requests.filter((request) => /partNumber=?/.test(request) && request.startsWith("PUT")).length,
    1,
  );
  assert.equal(server.uploads(), []);
  await importTable(store, "back", target, s3);
  sameRows(await scanAll(await store.table("back")), await scanAll(await store.table("large")), ALL);
});

test("arrays of an earlier export that this one lacks are not taken for its own", async ({
  store,
  server,
  place,
}) => {
  const target = `s3://${BUCKET}/arrays`;
  const s3 = { s3: server.options, scratch: place.path("scratch"), format: "npy" as const };
  const table = await store.table("items", { dim: 2, optimizer: adagrad({ learningRate: 0.5 }) });
  const keys = BigUint64Array.of(1n, 2n, 3n);
  await table.push(keys, new Float32Array(6).fill(1));
  await store.checkpoint({ version: "before" });
  await table.delete(BigUint64Array.of(2n));
  await exportTable(store, "items", target, { ...s3, since: "before", state: true });
  await table.push(keys, new Float32Array(6).fill(1));
  await exportTable(store, "items", target, s3);
  const { rows } = await importTable(store, "back", target, s3);
  assert.is(rows, 3);
  assert.equal([...(await (await store.table("back")).contains(keys))], [1, 1, 1]);
});

test("exports to one address at once have an upload each: the last whole one stands", async ({
  store,
  server,
  place,
}) => {
  await largeTable(store);
  await largeTable(store, "other", 3);
  const target = `s3://${BUCKET}/rows.safetensors`;
  const s3 = { s3: { ...server.options, tries: 1 }, scratch: place.path("scratch") };
  let second: Promise<unknown> | undefined;
  let parts = 0;
  // The second one begins when the first is in the middle, and ends before it.
  server.fault = async (request) => {
    if (!/^PUT .*partNumber/.test(request) || ++parts !== 3) return undefined;
    second = exportTable(store, "other", target, s3);
    return void (await second);
  };
  await exportTable(store, "large", target, s3);
  await second;
  assert.equal(server.uploads(), []);
  await importTable(store, "back", target, s3);
  sameRows(await scanAll(await store.table("back")), await scanAll(await store.table("large")), ALL);
});

test("parts of other bytes are replaced, and what nobody wants any more can be removed", async ({
  store,
  server,
  place,
}) => {
  await largeTable(store);
  const target = `s3://${BUCKET}/rows.safetensors`;
  const s3 = { s3: { ...server.options, tries: 1 }, scratch: place.path("scratch") };
  let parts = 0;
  const failing = (request: string) => (/partNumber/.test(request) && ++parts > 2 ? 500 : undefined);
  server.fault = failing;
  assert.is(await codeOf(() => exportTable(store, "large", target, s3)), "IO");
  const table = await store.table("large");
  const keys = (await scanAll(table)).keys();
  await table.assign(BigUint64Array.from(keys), randomFloats(new Prng(9), 6000 * 720));
  server.fault = () => undefined;
  await exportTable(store, "large", target, s3);
  await importTable(store, "back", target, s3);
  sameRows(await scanAll(await store.table("back")), await scanAll(table), ALL);
  parts = 0;
  server.fault = failing;
  assert.is(await codeOf(() => exportTable(store, "large", target, s3)), "IO");
  server.fault = () => undefined;
  assert.is(await removeUnfinishedUploads(target, server.options), 1);
  assert.equal(server.uploads(), []);
  assert.is(await removeUnfinishedUploads(target, server.options), 0);
});

test("an aborted export leaves nothing at the server, an aborted import nothing here", async ({
  store,
  server,
  place,
}) => {
  await largeTable(store);
  const target = `s3://${BUCKET}/rows.safetensors`;
  const s3 = { s3: server.options, scratch: place.path("scratch") };
  const stopAt = (phase: string) => {
    const stopping = new AbortController();
    const onProgress = (progress: { phase: string }) => {
      if (progress.phase === phase) stopping.abort();
    };
    return { ...s3, signal: stopping.signal, onProgress };
  };
  assert.is(await codeOf(() => exportTable(store, "large", target, stopAt("upload"))), "ABORTED");
  assert.equal(server.uploads(), []);
  await exportTable(store, "large", target, s3);
  assert.is(await codeOf(() => importTable(store, "back", target, stopAt("download"))), "ABORTED");
  assert.equal(readdirSync(place.path("scratch")), []);
});

test("a download that failed goes on where it was", async (context) => {
  const { store, server, target, s3 } = await largeObject(context);
  let ranges = 0;
  const counted = (request: string) => request.startsWith("GET") && ++ranges;
  server.fault = (request) => (counted(request) && ranges > 2 ? 500 : undefined);
  assert.is(await codeOf(() => importTable(store, "back", target, s3)), "IO");
  assert.not.ok((await store.tables()).some(({ name }) => name === "back"));
  ranges = 0;
  server.fault = (request) => void counted(request);
  await importTable(store, "back", target, s3);
  assert.is(ranges, 2, "of four ranges two were there");
  sameRows(await scanAll(await store.table("back")), await scanAll(await store.table("large")), ALL);
});

test("what a killed download left is gone on with, what one at work has is left alone", async (context) => {
  const { store, server, target, scratch, s3 } = await largeObject(context);
  let ranges = 0;
  const counted = (request: string) => request.startsWith("GET") && ++ranges;
  server.fault = (request) => (counted(request) && ranges > 2 ? 500 : undefined);
  assert.is(await codeOf(() => importTable(store, "back", target, s3)), "IO");
  const [left] = readdirSync(scratch);
  const of = (pid: number) => left.replace(".partial", `-${pid}-01234567.partial`);
  server.fault = (request) => void counted(request);
  // No process has a number like that.
  renameSync(join(scratch, left), join(scratch, of(2 ** 30)));
  ranges = 0;
  await importTable(store, "back", target, s3);
  assert.is(ranges, 2, "of four ranges two were there");
  assert.equal(readdirSync(scratch), []);
  ranges = 0;
  const both = ["first", "second"].map((name) => importTable(store, name, target, s3));
  for (const { rows } of await Promise.all(both)) assert.is(rows, 6000);
  assert.is(ranges, 8);
  const expected = await scanAll(await store.table("large"));
  for (const name of ["back", "first", "second"])
    sameRows(await scanAll(await store.table(name)), expected, ALL);
});

test("copies that killed processes left are removed by the next transfer, those of others are not", async (context) => {
  const { store, target, scratch, s3 } = await largeObject(context);
  // No process has a number like that.
  const [dead, living, elsewhere] = [
    `${hostname()}-${2 ** 30}`,
    `${hostname()}-${process.ppid}`,
    `another-machine-${2 ** 30}`,
  ].map((of) => `transfer-${of}-aB3xYz`);
  for (const name of [dead, living, elsewhere]) {
    mkdirSync(join(scratch, name));
    writeFileSync(join(scratch, name, "export"), "");
  }
  await importTable(store, "back", target, s3);
  assert.equal(readdirSync(scratch).sort(), [living, elsewhere].sort());
});

test("an object that is replaced while it is read, or removed, leaves nothing behind", async (context) => {
  const { store, server, target, scratch, s3 } = await largeObject(context);
  for (const status of [412, 404]) {
    let ranges = 0;
    server.fault = (request) => (request.startsWith("GET") && ++ranges === 3 ? status : undefined);
    assert.is(await codeOf(() => importTable(store, "back", target, s3)), "IO");
    assert.equal(readdirSync(scratch), []);
  }
});

test("what cannot pass is said at once", async ({ store, server }) => {
  await store.table("t", options);
  const s3 = server.options;
  const to = (target: string, given: object = s3) =>
    codeOf(() => exportTable(store, "t", target, { s3: given }));
  assert.is(await to("s3://bucket"), "INVALID_ARGUMENT");
  assert.is(await to("s3://bucket/../x"), "INVALID_ARGUMENT");
  assert.is(await to("s3://no-such-bucket/x.parquet"), "IO");
  assert.is(server.requests.length, 1, "once");
  assert.is(await to("s3://bucket/x.parquet", { ...s3, secretAccessKey: "wrong" }), "IO");
  assert.is(await to("s3://bucket/x.parquet", { ...s3, partBytes: 1 }), "INVALID_OPTIONS");
  assert.is(await to("s3://bucket/x.parquet", { ...s3, partbytes: 5 << 20 }), "INVALID_OPTIONS");
  assert.is(await to("s3://bucket/x.parquet", { ...s3, endpoint: "ftp://x" }), "INVALID_OPTIONS");
  assert.is(await to("s3://bucket/x.parquet", { endpoint: s3.endpoint }), "INVALID_OPTIONS");
  assert.is(await codeOf(() => importTable(store, "u", "s3://bucket/none.parquet", { s3 })), "IO");
});

test("an import says why the server has nothing for it", async ({ store, server }) => {
  const from = async (source: string, given: object = {}) => {
    try {
      await importTable(store, "u", source, { s3: { ...server.options, ...given } });
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };
  assert.match(
    await from("s3://bucket/none.parquet"),
    /^s3:\/\/bucket\/none.parquet: there is no such object$/,
  );
  assert.match(
    await from("s3://no-such-bucket/none.parquet"),
    /^s3:\/\/no-such-bucket: there is no such bucket$/,
  );
  const wrong = { secretAccessKey: "wrong" };
  assert.match(await from("s3://bucket/none.parquet", wrong), /answered 403 SignatureDoesNotMatch$/);
});

test.run();
