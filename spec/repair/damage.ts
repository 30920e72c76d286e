// Damage to the files of a directory: every kind of file, every kind of change.
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Prng } from "../../lib/base/prng.js";

/** The files of a store that hold something, relative to it. LOCK and LOG are LevelDB's, and hold nothing. */
export function filesOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(directory, name)).isFile())
    .filter((name) => !/LOCK$|LOG(\.old)?$/.test(name))
    .sort();
}

/** Flips a bit, overwrites a stretch, cuts or removes one file. Returns what was done. */
export function damageFile(directory: string, random: Prng, names = filesOf(directory)): string {
  const name = names[random.below(names.length)];
  const path = join(directory, name);
  const bytes = readFileSync(path);
  // The beginnings and ends of files are where their structure is.
  const spread = random.below(3);
  const near = Math.min(bytes.length, 80);
  const at =
    bytes.length === 0
      ? 0
      : spread === 0
        ? random.below(near)
        : spread === 1
          ? bytes.length - 1 - random.below(near)
          : random.below(bytes.length);
  switch (random.below(8)) {
    case 0:
      rmSync(path);
      return `${name} removed`;
    case 1:
      truncateSync(path, at);
      return `${name} cut to ${at}`;
    case 2: {
      const length = Math.min(bytes.length - at, 1 + random.below(64));
      for (let i = 0; i < length; i++) bytes[at + i] = random.below(256);
      writeFileSync(path, bytes);
      return `${name}, ${length} bytes from ${at}`;
    }
    default: {
      if (bytes.length === 0) return `${name} is empty`;
      const bit = random.below(8);
      bytes[at] ^= 1 << bit;
      writeFileSync(path, bytes);
      return `${name}, byte ${at}, bit ${bit}`;
    }
  }
}
