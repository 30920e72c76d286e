// What a new store's identity vouches for must be durable before it: told by the system calls, where strace is there.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";

const script = `
  const { openStore } = await import(process.argv[1]);
  const store = await openStore(process.argv[2], { control: false });
  await store.close();
`;

test("a store's folders are synced before its identity is there", () => {
  if (spawnSync("strace", ["-V"]).status !== 0) return console.log("left out: there is no strace here");
  const place = realpathSync(mkdtempSync(join(tmpdir(), "embershard-birth-")));
  const directory = join(place, "outer", "inner");
  const trace = join(place, "trace");
  const library = new URL("../../lib/index.js", import.meta.url).href;
  const command = [process.execPath, "--input-type=module", "-e", script, library, directory];
  const traced = spawnSync(
    "strace",
    ["-f", "-y", "-o", trace, "-e", "trace=fsync,rename,renameat,renameat2", ...command],
    { encoding: "utf8" },
  );
  if (/ptrace/.test(traced.stderr)) return console.log("left out: tracing is not permitted here");
  assert.is(traced.status, 0, traced.stderr);
  const lines = readFileSync(trace, "utf8").split("\n");
  const birth = lines.findIndex(
    (line) => line.includes("rename") && line.includes(`"${join(directory, "store")}"`),
  );
  assert.ok(birth > 0, "the identity is renamed to its name");
  const synced = (path: string) =>
    lines.findIndex((line) => line.includes("fsync(") && line.includes(`<${path}>`));
  for (const path of [
    place,
    join(place, "outer"),
    directory,
    join(directory, "shards"),
    join(directory, "shards", "0000"),
  ]) {
    const at = synced(path);
    assert.ok(at >= 0 && at < birth, `${path} is ${at < 0 ? "never synced" : "synced too late"}`);
  }
  assert.ok(
    lines.findLastIndex((line) => line.includes("fsync(") && line.includes(`<${directory}>`)) > birth,
  );
  rmSync(place, { recursive: true });
});

test.run();
