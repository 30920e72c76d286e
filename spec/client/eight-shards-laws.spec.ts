import { scatteredTableLaws } from "../laws/table-laws.js";
import { openServed } from "./opened-remote.js";

scatteredTableLaws("remote, eight shards", () => openServed(8));
