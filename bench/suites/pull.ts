import type { Suite } from "../suite.js";
import { raceAgainstPeers } from "./against-peers.js";

export const pull: Suite = {
  name: "pull",
  about: "pulling rows, against the peers",
  run: async (context) => [
    ...(await raceAgainstPeers(context, "pull", 64)),
    ...(await raceAgainstPeers(context, "pull", 16)),
  ],
};
