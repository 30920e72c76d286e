// uWebSockets.js comes as two builds under two names, since no one of them has binaries for all versions of Node.
import type * as Sockets from "uwebsockets-20";
import { EmbershardError } from "../base/errors.js";

export type UWebSockets = typeof Sockets;

/**
 * The newest build of uWebSockets.js that loads here. Each has binaries for some versions of Node, and the newer ones need
 * a newer C library, so that only trying tells. Errors: UNSUPPORTED, with what each of them said.
 */
export async function loadUWebSockets(
  nodeVersion = process.versions.node,
  imports: Readonly<Record<string, () => Promise<UWebSockets>>> = builds,
): Promise<UWebSockets> {
  const said: string[] = [];
  for (const name of buildsFor(Number.parseInt(nodeVersion, 10))) {
    try {
      return await imports[name]();
    } catch (error) {
      said.push(`${name}: ${(error as Error).message.replaceAll(/\s+/g, " ")}`);
    }
  }
  throw new EmbershardError(
    "UNSUPPORTED",
    `no build of uWebSockets.js loads on Node ${nodeVersion} (${process.platform}, ${process.arch}), and a node cannot ` +
      `listen without one. Use Node 20 or 22 (24 and 26 need glibc 2.38), install with the version of Node that it is to run on (npm ci fetches the binaries of that one only), and without --omit=optional. ${said.join("; ")}`,
  );
}

const builds: Readonly<Record<string, () => Promise<UWebSockets>>> = {
  "uwebsockets-24": () => import("uwebsockets-24") as unknown as Promise<UWebSockets>,
  "uwebsockets-20": () => import("uwebsockets-20"),
};

/**
 * The builds to try. On Node 18 to 21 the newer package would load the older one's binary, which lies beside it under the
 * same name: the two do not belong together.
 */
const buildsFor = (major: number) => (major < 22 ? ["uwebsockets-20"] : ["uwebsockets-24", "uwebsockets-20"]);
