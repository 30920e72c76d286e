import { coldEvictionLaws } from "../laws/table-laws.js";
import { openLimited } from "./tables-beyond-memory.js";

coldEvictionLaws("embedded, sixty rows of a table in memory", () => openLimited(60));
