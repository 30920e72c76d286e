import { storeVersionLaws } from "../laws/table-laws.js";
import { openTemporary } from "./opened.js";

storeVersionLaws("versions, embedded", () => openTemporary());
