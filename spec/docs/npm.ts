// What `npm` is where the documents' commands are run: it runs the scripts of package.json against what is built.
// `ci` and building are left out. Training is cut to one epoch and the tests to one file, unless the document says; the
// simulation tells one story instead of several.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./documents.js";

const shortened: Record<string, { unless: string; add: readonly string[] }> = {
  demo: { unless: "--epochs", add: ["--epochs", "1"] },
  test: { unless: "", add: ["docs/errors"] },
};

const [command, ...rest] = process.argv.slice(2);
const args = rest.filter((arg) => arg !== "--");
if (command !== "ci") {
  const name = command === "run" ? args.shift()! : command;
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const script = scripts[name];
  if (script === undefined) throw new Error(`package.json has no script "${name}"`);
  const short = shortened[name];
  if (short && (args.length === 0 || !args.includes(short.unless))) args.push(...short.add);
  const seeds = args.indexOf("--seeds");
  if (seeds >= 0) args[seeds + 1] = "1";
  const built = script.replace("npm run build --silent && ", "");
  if (name !== "build")
    process.exitCode =
      spawnSync("sh", ["-c", `${built} "$@"`, name, ...args], { stdio: "inherit" }).status ?? 1;
}
