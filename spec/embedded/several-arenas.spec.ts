import { tableLaws } from "../laws/table-laws.js";
import { openSeveralArenas } from "./opened.js";

tableLaws("embedded, several arenas", openSeveralArenas);
