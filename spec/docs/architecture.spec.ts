// docs/architecture.md says which layer imports which as the code does, and only downwards.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ROOT } from "./documents.js";

const text = readFileSync(join(ROOT, "docs", "architecture.md"), "utf8");
const said = [...text.matchAll(/^\| `lib\/(\w+)(?:\.ts)?` \| .* \| (.*) \|$/gm)].map(
  ([, layer, imports]) => ({
    layer,
    imports: imports === "nothing" ? [] : imports.split(", "),
  }),
);

test("each layer imports what the table says", () => {
  const folders = readdirSync(join(ROOT, "lib"), { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  );
  assert.equal(said.map(({ layer }) => layer).sort(), [...folders.map(({ name }) => name), "index"].sort());
  for (const { layer, imports } of said) assert.equal([...imports].sort(), importsOf(layer), layer);
});

test("imports go down the table", () => {
  for (const [i, { imports }] of said.entries()) {
    const below = said.slice(i + 1).map(({ layer }) => layer);
    assert.equal(
      imports.filter((layer) => !below.includes(layer)),
      [],
    );
  }
});

function importsOf(layer: string): string[] {
  const files =
    layer === "index"
      ? ["index.ts"]
      : readdirSync(join(ROOT, "lib", layer), { recursive: true, encoding: "utf8" }).map((name) =>
          join(layer, name),
        );
  const found = files
    .filter((file) => file.endsWith(".ts") && !file.includes("assembly"))
    .flatMap((file) => [
      ...readFileSync(join(ROOT, "lib", file), "utf8").matchAll(/(?:from|import\() ?"(\.[^"]+)"/g),
    ])
    .map(([, path]) => /^(?:\.\/|(?:\.\.\/)+)(\w+)\//.exec(path)?.[1])
    .filter(
      (name) => name !== undefined && name !== layer && said.some(({ layer: known }) => known === name),
    );
  return [...new Set(found as string[])].sort();
}

test.run();
