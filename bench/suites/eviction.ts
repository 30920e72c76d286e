import { once, shown, target } from "../figure.js";
import { ratioOf } from "../race.js";
import type { Suite } from "../suite.js";
import { startStore } from "./rows-subjects.js";

export const eviction: Suite = {
  name: "eviction",
  about:
    "pushing to a table at its capacity, 1 key in 20 new and as many rows evicted, against existing rows of one without",
  async run(context) {
    const { rounds, roundMs } = context.options;
    const evicting = await startStore(context, "at capacity", { evicting: true });
    const plain = await startStore(context, "without eviction", {
      directory: context.workspace.path("plain"),
    });
    const rates = { evicting: [] as number[], plain: [] as number[] };
    const longestNs = { evicting: 0, plain: 0 };
    let evicted = 0;
    for (let round = 0; round <= rounds; round++) {
      const renewed = await evicting.ask("renew", roundMs);
      const pushed = await plain.ask("renew", roundMs);
      if (round === 0) continue;
      rates.evicting.push((Number(renewed.rows) / Number(renewed.ns)) * 1e9);
      rates.plain.push((Number(pushed.rows) / Number(pushed.ns)) * 1e9);
      longestNs.evicting = Math.max(longestNs.evicting, Number(renewed.longestOwnNs));
      longestNs.plain = Math.max(longestNs.plain, Number(pushed.longestOwnNs));
      evicted = Number(renewed.evicted);
    }
    await Promise.all([evicting.stop(), plain.stop()]);
    return [
      target("push-evicting-64", ratioOf(rates.evicting, rates.plain), {
        peerName: "without eviction",
        note: `${evicted} rows evicted, least recently written first`,
        counts: evicted > 0,
      }),
      shown("push-evicting-64-longest", once(longestNs.evicting / 1e6, longestNs.plain / 1e6), {
        unit: "ms",
        better: "lower",
        peerName: "without eviction",
        note: "the longest push, its slice of eviction included, without the time that it waited for a processor",
      }),
    ];
  },
};
