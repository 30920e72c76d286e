import type { Suite } from "../suite.js";
import { raceAgainstPeers } from "./against-peers.js";

export const push: Suite = {
  name: "push",
  about: "pushing gradients with Adagrad at level memory, against the peers",
  run: (context) => raceAgainstPeers(context, "push"),
};
