// `npm ci` refuses a lock file that lacks an optional package, also one for another platform, which `npm install` leaves out
// where a registry does not have it.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

interface Locked {
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

test("the lock file has every optional package", () => {
  const path = fileURLToPath(new URL("../../package-lock.json", import.meta.url));
  const { packages } = JSON.parse(readFileSync(path, "utf8")) as { packages: Record<string, Locked> };
  const missing: string[] = [];
  for (const [place, { optionalDependencies = {} }] of Object.entries(packages))
    for (const name of Object.keys(optionalDependencies)) {
      const nested = place === "" ? `node_modules/${name}` : `${place}/node_modules/${name}`;
      if (!packages[nested] && !packages[`node_modules/${name}`]) missing.push(`${place} ${name}`);
    }
  assert.equal(missing, []);
  assert.ok(Object.keys(packages).some((place) => place.includes("@uwsjs/darwin")));
});

test.run();
