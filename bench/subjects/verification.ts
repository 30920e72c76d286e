// Verifies a closed store, or has cat read the same files: one of the two, once.
import { execFileSync } from "node:child_process";
import { verifyStore } from "../../lib/index.js";
import { nanoseconds, serveLines, settingsOf } from "./line-server.js";

const { directory } = settingsOf<{ directory: string }>();

await serveLines({}, async ([operation]) => {
  const start = nanoseconds();
  if (operation === "cat") {
    execFileSync("sh", ["-c", "find shards -type f -print0 | xargs -0 cat > /dev/null"], { cwd: directory });
    const ns = nanoseconds() - start;
    const sizes = "find shards -type f -print0 | xargs -0 cat | wc -c";
    return { ns, bytes: Number(execFileSync("sh", ["-c", sizes], { cwd: directory, encoding: "utf8" })) };
  }
  const { bytes, status } = await verifyStore(directory);
  return { ns: nanoseconds() - start, bytes, status };
});
