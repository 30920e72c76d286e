// The layer table as data: a folder of lib/ is a layer, and imports only go down. Other rules that are cheap to check, too.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** For each layer the other layers that it may import. */
const layers: Readonly<Record<string, readonly string[]>> = {
  index: ["threads", "repair", "transfer", "client", "embedded", "api", "base"],
  cli: [
    "index",
    "threads",
    "node",
    "client",
    "net",
    "ring",
    "repair",
    "transfer",
    "embedded",
    "directory",
    "shard",
    "table",
    "store",
    "api",
    "base",
  ],
  threads: ["client", "node", "embedded", "directory", "ring", "net", "api", "base"],
  repair: ["embedded", "directory", "shard", "table", "store", "ring", "kernel", "api", "base"],
  node: ["directory", "shard", "table", "store", "wire", "ring", "net", "api", "base"],
  embedded: ["transfer", "directory", "shard", "table", "store", "ring", "api", "base"],
  transfer: ["api", "base"],
  directory: ["shard", "store", "ring", "base"],
  client: ["ring", "wire", "net", "kernel", "api", "base"],
  shard: ["table", "store", "kernel", "api", "base"],
  table: ["kernel", "api", "base"],
  store: ["base"],
  ring: ["base"],
  wire: ["base"],
  net: ["base"],
  api: ["kernel", "base"],
  kernel: ["base"],
  base: [],
};

/** Packages, and modules of Node, by the files that may import them. Others are used nowhere. */
const packages: Readonly<Record<string, RegExp>> = {
  commander: /^lib\/cli\//,
  aws4fetch: /^lib\/transfer\//,
  hyparquet: /^lib\/transfer\//,
  "hyparquet/src/column.js": /^lib\/transfer\//,
  "node:buffer": /^lib\/wire\//,
  "node:timers/promises": /^lib\/(transfer|cli)\//,
  "node:zlib": /^lib\/transfer\//,
  "hyparquet-writer": /^lib\/transfer\//,
  level: /^lib\/store\//,
  "abstract-level": /^lib\/store\//,
  "classic-level": /^lib\/store\//,
  koffi: /^lib\/base\/system-calls\.ts$/,
  "node:net": /^lib\/(embedded\/control-[a-z]+|net\/[a-z-]+)\.ts$/,
  "uwebsockets-20": /^lib\/net\/uwebsockets-[a-z]+\.ts$/,
  "uwebsockets-24": /^lib\/net\/uwebsockets-[a-z]+\.ts$/,
  "node:child_process": /^lib\/(cli\/|node\/supervisor\.ts$)/,
  "node:worker_threads":
    /^lib\/(store\/|cli\/|threads\/|net\/port-[a-z]+\.ts$|node\/(shard-thread|thread-[a-z]+)\.ts$|kernel\/memory-(advice|populating)\.ts$)/,
  "node:crypto": /^lib\/(client|directory|embedded|net|node|repair|threads|transfer|cli)\//,
  "node:diagnostics_channel": /^lib\/client\//,
  "node:fs":
    /^lib\/(embedded\/|repair\/|store\/|transfer\/local-file\.ts$|cli\/|net\/processor-(demand|quota)\.ts$)/,
  "node:fs/promises": /^lib\/(directory|embedded|node|repair|store|transfer|cli)\//,
  "node:module": /^lib\/(base\/system-calls\.ts|cli\/)/,
  "node:os": /^lib\/(embedded\/|repair\/|threads\/|transfer\/|cli\/|net\/processor-demand\.ts$)/,
  "node:path":
    /^lib\/(directory\/|embedded\/|node\/|repair\/|store\/|transfer\/|cli\/|net\/processor-quota\.ts$)/,
  "node:process": /^lib\/cli\//,
  "node:readline": /^lib\/cli\//,
  "node:url": /^lib\/(cli|store)\//,
  "node:util": /^lib\/cli\//,
};

interface Import {
  readonly file: string;
  readonly to: string;
  readonly dynamic: boolean;
  readonly typesOnly: boolean;
}

const files = readdirSync(join(root, "lib"), { recursive: true, encoding: "utf8" })
  .filter((file) => /\.(ts|js)$/.test(file))
  .map((file) => `lib/${file.replaceAll("\\", "/")}`)
  .filter((file) => !file.startsWith("lib/kernel/assembly/") && !/^lib\/\w+\/generated\//.test(file));

const textOf = (file: string) => readFileSync(join(root, file), "utf8");

/** The code of a file: without comments, which may speak of anything. */
function codeOf(file: string): string {
  return textOf(file)
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/(^|[^:"'`\\])\/\/[^\n]*/g, "$1");
}

function importsOf(file: string, code: string): Import[] {
  const found: Import[] = [];
  const statements = /(?:^|\n)(?:import|export)\s+(type\s)?(?:[\w$*\s{},]*?\bfrom\s*)?"([^"]+)"/g;
  for (const [, type, to] of code.matchAll(statements))
    found.push({ file, to, dynamic: false, typesOnly: type !== undefined });
  for (const [, to] of code.matchAll(/\b(?:import|require|createRequire\([^)]*\))\(\s*"([^"]+)"/g)) {
    found.push({ file, to, dynamic: true, typesOnly: false });
  }
  return found;
}

const layerOf = (file: string) => (/^lib\/[^/]+\.ts$/.test(file) ? "index" : file.split("/")[1]);

/** What is wrong with an import, in words. */
function offence({ file, to, dynamic, typesOnly }: Import): string | undefined {
  if (!to.startsWith(".")) {
    const allowed = packages[to];
    if (!allowed) return `${file} imports ${to}, which the layer table does not know`;
    if (!allowed.test(file)) return `${file} imports ${to}: only ${allowed} may`;
    if (to === "node:net" && !dynamic && !typesOnly)
      return `${file} imports ${to}: only when it is needed, by import()`;
    return undefined;
  }
  const target = normalize(join(dirname(file), to))
    .replaceAll("\\", "/")
    .replace(/\.js$/, ".ts");
  const [from, there] = [layerOf(file), layerOf(target)];
  if (from !== there && !layers[from]?.includes(there))
    return `${file} imports ${target}: ${from} may import ${layers[from]?.join(", ")}`;
  if (
    /\/control-(socket|client|address)\.ts$/.test(target) &&
    !dynamic &&
    !typesOnly &&
    from === "embedded" &&
    !/\/control-/.test(file)
  ) {
    return `${file} imports ${target}: only when it is needed, by import()`;
  }
  if (to.endsWith(".js") || to.endsWith(".json")) return undefined;
  return `${file} imports ${to}, without .js`;
}

const offences = (imports: readonly Import[]) => imports.map(offence).filter((one) => one !== undefined);

test("imports only go down the layers", () => {
  const imports = files.flatMap((file) => importsOf(file, codeOf(file)));
  assert.ok(imports.length > 200, `${imports.length} imports were found`);
  assert.equal(offences(imports), []);
  for (const file of files) assert.ok(Object.hasOwn(layers, layerOf(file)), `${file} is in no layer`);
});

test("an import that goes up is found", () => {
  const wrong: [string, string][] = [
    ["lib/base/errors.ts", 'import { a } from "../store/files.js";'],
    ["lib/store/files.ts", 'import type { a } from "../table/arena.js";'],
    ["lib/store/files.ts", 'export { a } from "../kernel/kernel.js";'],
    ["lib/shard/shard.ts", 'import {\n  a,\n  b,\n} from "../embedded/open-store.js";'],
    ["lib/shard/shard.ts", 'import { randomBytes } from "node:crypto";'],
    ["lib/embedded/open-store.ts", 'import { connect } from "node:net";'],
    ["lib/embedded/control-client.ts", 'import { connect } from "node:net";'],
    ["lib/embedded/open-store.ts", 'import { a } from "./control-socket.js";'],
    ["lib/kernel/kernel.ts", 'const a = await import("lodash");'],
    ["lib/table/arena.ts", 'import { a } from "../kernel/kernel";'],
  ];
  for (const [file, code] of wrong) assert.is(offences(importsOf(file, code)).length, 1, `${file}: ${code}`);
});

/** The layers that a module loads when it is imported: what it imports by import() or for types only comes later or never. */
function layersLoadedBy(file: string): Set<string> {
  const seen = new Set([file]);
  for (const one of seen)
    for (const { to, dynamic, typesOnly } of importsOf(one, codeOf(one)))
      if (to.startsWith(".") && !dynamic && !typesOnly)
        seen.add(
          normalize(join(dirname(one), to))
            .replaceAll("\\", "/")
            .replace(/\.js$/, ".ts"),
        );
  return new Set([...seen].filter((one) => !/connect\.ts$|partial-error\.ts$/.test(one)).map(layerOf));
}

test("a client loads nothing of what serves, a store in this process nothing of the network", () => {
  const client = layersLoadedBy("lib/client/open-client.ts");
  assert.ok(client.has("wire") && client.has("net"));
  for (const entry of ["lib/client.ts", "lib/client/open-client.ts"])
    for (const layer of ["shard", "table", "store", "node", "embedded", "directory", "repair", "transfer"])
      assert.not.ok(layersLoadedBy(entry).has(layer), `${entry} loads ${layer}`);
  const embedded = layersLoadedBy("lib/index.ts");
  assert.ok(embedded.has("shard") && embedded.has("store"));
  for (const layer of ["net", "wire", "client", "node"])
    assert.not.ok(embedded.has(layer), `lib/index.ts loads ${layer}`);
});

test("no file of lib is long, postponed or untyped, and each is named for what it is", () => {
  const found: string[] = [];
  for (const file of files) {
    const [text, code] = [textOf(file), codeOf(file)];
    if (text.split("\n").length > 500) found.push(`${file} has more than 500 lines`);
    if (/\b(TODO|FIXME|XXX)\b/.test(text)) found.push(`${file} postpones something`);
    if (/[:<|,(]\s*any\b(?!\()|\bas any\b/.test(code)) found.push(`${file} has an any`);
    if (/export default/.test(code)) found.push(`${file} has a default export`);
    if (/\benum\s+\w+\s*\{/.test(code)) found.push(`${file} has an enum`);
    if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.d)?\.ts$/.test(relative(dirname(file), file)))
      found.push(`${file} is not in kebab case`);
    if (/(^|[/-])(utils?|helpers?|common|misc)\.ts$/.test(file))
      found.push(`${file} says nothing by its name`);
  }
  assert.equal(found, []);
});

test.run();
