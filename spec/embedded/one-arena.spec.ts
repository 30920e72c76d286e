import { tableLaws } from "../laws/table-laws.js";
import { openTemporary } from "./opened.js";

tableLaws("embedded, one arena", () => openTemporary());
