// Which keys a page held at any time, as the undamaged store has it: in its images, and in the records that name places on it.

import { readValue } from "../../lib/repair/backup-store.js";
import { examine } from "../../lib/repair/examination.js";
import type { Loss } from "../../lib/repair/report.js";
import { pageHeaderBytes } from "../../lib/shard/page-image.js";
import { decodeJson, decodeRows, RECORD } from "../../lib/shard/records.js";
import type { LivedStore } from "./lived-store.js";

/** Keys by the name of their table. */
export async function keysOfPages(
  lived: LivedStore,
  pages: readonly Loss[],
): Promise<Map<string, Set<bigint>>> {
  const wanted = new Set(pages.map(({ arena, page }) => `${arena}/${page}`));
  const byNumber = new Map<number, Set<bigint>>();
  const names = new Map<number, string>();
  const add = (table: number, key: bigint) => {
    if (!byNumber.has(table)) byNumber.set(table, new Set());
    byNumber.get(table)!.add(key);
  };
  const found = await examine(lived.directory, {
    remains: true,
    onRecords: (records) => {
      for (const { type, payload } of records) {
        if (type === RECORD.define) {
          const { number, name } = decodeJson(payload) as { number: number; name: string };
          names.set(number, name);
        }
        if (type !== RECORD.rows) continue;
        for (const { table, arena, n, keys, positions } of decodeRows(payload)!.parts) {
          const key = new DataView(keys.buffer, keys.byteOffset, keys.length);
          const address = new DataView(positions.buffer, positions.byteOffset, positions.length);
          for (let i = 0; i < n; i++)
            if (wanted.has(`${arena}/${address.getUint32(4 * i, true) >>> 14}`))
              add(table, key.getBigUint64(8 * i, true));
        }
      }
    },
  });
  try {
    for (const entries of found.pages.entries.values()) {
      for (const entry of entries) {
        if (entry.proof.kind === "manifest")
          for (const { number, name } of entry.proof.manifest.tables) names.set(number, name);
        if (entry.proof.kind !== "page") continue;
        const { arena, page, table, places, recordBytes } = entry.proof.header;
        if (!wanted.has(`${arena}/${page}`)) continue;
        const value = await readValue(entry);
        const view = new DataView(value.buffer, value.byteOffset, value.length);
        for (let place = 0; place < places; place++)
          add(table, view.getBigUint64(pageHeaderBytes + place * recordBytes, true));
      }
    }
  } finally {
    await found.levelFiles.close();
  }
  const keys = new Map<string, Set<bigint>>();
  for (const [number, some] of byNumber) {
    const name = names.get(number);
    if (name !== undefined) keys.set(name, new Set([...(keys.get(name) ?? []), ...some]));
  }
  return keys;
}
