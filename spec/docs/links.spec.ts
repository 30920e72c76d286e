// What the documents link to and name is there.
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { anchorsOf, ROOT, readDocuments } from "./documents.js";

const documents = readDocuments();
const byPath = new Map(documents.map((document) => [document.path, document]));

test("links between documents resolve, their anchors too", () => {
  let count = 0;
  for (const { path, prose } of documents) {
    for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      count++;
      const [file, anchor] = target.split("#");
      const aim = file === "" ? path : normalize(join(dirname(path), file)).replaceAll("\\", "/");
      assert.ok(existsSync(join(ROOT, aim)), `${path} links to ${target}`);
      if (anchor !== undefined)
        assert.ok(anchorsOf(byPath.get(aim)!).has(anchor), `${path} links to ${target}`);
    }
  }
  assert.ok(count > 20, `found ${count} links`);
});

test("files of the project that are named exist", () => {
  for (const { path, text } of documents) {
    for (const [, name] of text.matchAll(/`((?:lib|spec|bench|examples|docs|scripts)\/[\w./-]+)`/g)) {
      assert.ok(existsSync(join(ROOT, name)), `${path} names ${name}`);
    }
  }
});

test("every document of docs/ can be reached from its index, and the index from the README", () => {
  const index = byPath.get("docs/README.md")!;
  for (const path of byPath.keys()) {
    if (!path.startsWith("docs/") || path === index.path) continue;
    assert.ok(index.prose.includes(`](${path.slice("docs/".length)})`), `docs/README.md lacks ${path}`);
  }
  assert.ok(byPath.get("README.md")!.prose.includes("](docs/README.md)"));
});

test.run();
