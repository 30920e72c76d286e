import { tableLaws } from "../laws/table-laws.js";
import { openServed } from "./opened-remote.js";

tableLaws("remote, one shard", () => openServed(1));
