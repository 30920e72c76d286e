import { storeVersionLaws } from "../laws/table-laws.js";
import { openServed } from "./opened-remote.js";

storeVersionLaws("versions, remote, eight shards", () => openServed(8));
