import { remoteTableLaws } from "../laws/table-laws.js";
import { openServed } from "./opened-remote.js";

remoteTableLaws("remote, one shard", () => openServed(1));
