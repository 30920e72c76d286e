import { type Figure, shown, target } from "../figure.js";
import { race, ratioOf } from "../race.js";
import type { Suite } from "../suite.js";
import { startStore } from "./rows-subjects.js";

/** The share of keys without a row in a batch of a table that has learned for a while. */
const USUAL = 0.05;
const NAMES = { with: "after 2 occurrences", without: "every key admitted" };

export const admission: Suite = {
  name: "admission",
  about: "pushing with admission after 2 occurrences, against without",
  async run(context) {
    const { rounds, roundMs } = context.options;
    const subjects = [
      await startStore(context, NAMES.with, {
        stored: { admission: { after: 2 } },
        directory: context.workspace.path("admitting"),
      }),
      await startStore(context, NAMES.without),
    ];
    const rates = async (share: number) => {
      const found = await race(subjects, ["strangers", share, roundMs], rounds);
      return { own: found.get(NAMES.with)!, peer: found.get(NAMES.without)! };
    };
    const known = await rates(0);
    const usual = await rates(USUAL);
    const figures: Figure[] = [
      target("push-admission", ratioOf(usual.own, usual.peer), {
        peerName: NAMES.without,
        note: "5 % of the keys have no row; without admission each of them makes one",
      }),
      shown("push-admission-known", ratioOf(known.own, known.peer), {
        unit: "rows/s",
        peerName: NAMES.without,
        note: "every key has a row",
      }),
      shown("push-admission-over-known", ratioOf(usual.own, known.peer), {
        unit: "rows/s",
        peerName: "without, every key has a row",
        note: "5 % of the keys have no row, held against pushes that make none",
      }),
    ];
    const unknown = await rates(1);
    figures.push(
      shown("push-admission-unknown", ratioOf(unknown.own, unknown.peer), {
        unit: "rows/s",
        peerName: NAMES.without,
        note: "no key has a row; one in five comes for the second time",
      }),
    );
    await Promise.all(subjects.map((subject) => subject.stop()));
    return figures;
  },
};
