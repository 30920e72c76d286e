import type { Suite } from "../suite.js";
import { raceAgainstPeers } from "./against-peers.js";

export const push: Suite = {
  name: "push",
  about: "pushing gradients with Adagrad at level memory, against the peers",
  run: async (context) => [
    ...(await raceAgainstPeers(context, "push", 64)),
    ...(await raceAgainstPeers(context, "push", 16)),
  ],
};
