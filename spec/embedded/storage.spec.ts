import { tableStorageLaws } from "../laws/table-laws.js";
import { openTemporary } from "./opened.js";

tableStorageLaws("storage, one arena", () => openTemporary());
