import type { Suite } from "../suite.js";
import { raceAgainstPeers } from "./against-peers.js";

export const pull: Suite = {
  name: "pull",
  about: "pulling rows, against the peers",
  run: (context) => raceAgainstPeers(context, "pull"),
};
