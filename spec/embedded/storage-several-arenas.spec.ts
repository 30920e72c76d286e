import { tableStorageLaws } from "../laws/table-laws.js";
import { openSeveralArenas } from "./opened.js";

tableStorageLaws("storage, several arenas", openSeveralArenas);
