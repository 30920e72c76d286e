import { tableStorageLaws } from "../laws/table-laws.js";
import { openTemporary, spread } from "./opened.js";

tableStorageLaws("storage, several arenas", () =>
  openTemporary({ arenaBytes: 32 << 20, checkpoint: false }, (store) => spread(store, 3)),
);
