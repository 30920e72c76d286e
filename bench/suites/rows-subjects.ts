import { Subject } from "../subject.js";
import type { RowsSettings } from "../subjects/rows-settings.js";
import type { SuiteContext } from "../suite.js";

/** Starts Embershard with a filled table, by default unlogged, of dimension 64 and on plain pages. */
export async function startStore(
  { options, workspace }: SuiteContext,
  name: string,
  changes: Partial<RowsSettings> = {},
): Promise<Subject> {
  const settings: RowsSettings = {
    directory: workspace.path("store"),
    rows: options.rows,
    dim: 64,
    batch: options.batch,
    hugePages: "off",
    level: "memory",
    seed: 11,
    ...changes,
  };
  return Subject.startNode(workspace, name, "store-rows", settings);
}

/** Starts the Map of Float32Arrays; V8 needs to be told that it may be large. */
export async function startMap(
  { options, workspace }: SuiteContext,
  dim: number,
  rows: number,
): Promise<Subject> {
  const settings = {
    directory: "",
    rows,
    dim,
    batch: options.batch,
    hugePages: "off",
    level: "memory",
    seed: 11,
  };
  return Subject.startNode(workspace, "Map", "map-rows", settings, ["--max-old-space-size=12000"]);
}
