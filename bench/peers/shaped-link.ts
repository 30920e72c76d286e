import { execFileSync } from "node:child_process";
import type { SuiteContext } from "../suite.js";

/** A link between this network namespace and one of its own, which carries so much and no more. */
export interface ShapedLink {
  /** The address of the other end, which nobody else reaches. */
  readonly host: string;
  /** Words that a command is preceded by to run at the other end. */
  readonly inside: readonly string[];
  remove(): void;
}

/**
 * Makes a link that carries `gigabits` a second in each direction: two virtual devices, each with a token bucket. Undefined, with
 * a note, where that is not permitted.
 */
export function makeShapedLink({ note }: SuiteContext, gigabits: number): ShapedLink | undefined {
  const name = `ember${process.pid}`;
  const [here, there] = [`eh${process.pid}`, `et${process.pid}`];
  const inside = ["ip", "netns", "exec", name];
  const run = (words: string) => {
    const [command, ...args] = words.split(" ");
    execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  };
  const remove = () => {
    process.off("exit", remove);
    try {
      run(`ip netns delete ${name}`);
    } catch (error) {
      note(`the namespace ${name} is left behind: ${(error as Error).message.split("\n")[0]}`);
    }
  };
  try {
    run(`ip netns add ${name}`);
  } catch (error) {
    note(`a link of ${gigabits} Gbit/s is left out: ${(error as Error).message.split("\n")[0]}`);
    return undefined;
  }
  process.once("exit", remove);
  try {
    const shape = `root tbf rate ${gigabits}gbit burst 1mb latency 20ms`;
    run(`ip link add ${here} type veth peer name ${there} netns ${name}`);
    run(`ip address add 198.18.231.1/30 dev ${here}`);
    run(`ip link set ${here} up`);
    run(`${inside.join(" ")} ip address add 198.18.231.2/30 dev ${there}`);
    run(`${inside.join(" ")} ip link set ${there} up`);
    run(`tc qdisc add dev ${here} ${shape}`);
    run(`${inside.join(" ")} tc qdisc add dev ${there} ${shape}`);
  } catch (error) {
    remove();
    note(`a link of ${gigabits} Gbit/s is left out: ${(error as Error).message.split("\n")[0]}`);
    return undefined;
  }
  return { host: "198.18.231.2", inside, remove };
}
