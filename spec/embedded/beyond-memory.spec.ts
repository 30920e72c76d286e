import { limitedTableLaws } from "../laws/table-laws.js";
import { openLimited } from "./tables-beyond-memory.js";

limitedTableLaws("embedded, eight rows of a table in memory", () => openLimited(8));
