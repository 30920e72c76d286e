// Whether this process may use processors only for a share of the time: cgroups(7), as containers have them.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Where hierarchies are mounted that know processors, and the file that tells a group's quota there. */
const unified = { mounts: ["sys/fs/cgroup", "sys/fs/cgroup/unified"], file: "cpu.max" };
const alone = { mounts: ["sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"], file: "cpu.cfs_quota_us" };

/** Whether a group of this process, or one above it, has a quota of processor time. Not told is none. */
export function hasProcessorQuota(root = "/"): boolean {
  return (read(join(root, "proc/self/cgroup")) ?? "").split("\n").some((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) return false;
    if (controllers === "") return isLimited(root, unified, path);
    return controllers.split(",").includes("cpu") && isLimited(root, alone, path);
  });
}

function isLimited(root: string, { mounts, file }: typeof unified, path: string): boolean {
  // A container sees its own group as the uppermost, whatever its path says.
  const names = path.split("/").filter((name) => name !== "");
  const groups = Array.from({ length: names.length + 1 }, (_, n) => names.slice(0, n).join("/"));
  return mounts.some((mount) =>
    groups.some((group) => Number.parseInt(read(join(root, mount, group, file)) ?? "", 10) > 0),
  );
}

/** What a file says, undefined where it is not there or not for us. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}
