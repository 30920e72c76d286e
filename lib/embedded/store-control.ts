// Has an open store answer the command line.
import { EmbershardError } from "../base/errors.js";
import type { ControlHandlers } from "./control-socket.js";
import type { ControlledStore } from "./inspection.js";
import type { VersionedStore } from "./version-handlers.js";

/**
 * Listens for the command line in the store's directory; `others` answer what only such a store can. Returns what ends that. Where
 * no socket can be made, that is a warning: everything else works.
 */
export async function listenForCommands(
  path: string,
  store: ControlledStore & VersionedStore,
  others: ControlHandlers,
): Promise<() => Promise<void>> {
  // Only now: a user without a control socket loads no network code.
  const [{ openControlSocket }, { controlHandlers }, { versionHandlers }] = await Promise.all([
    import("./control-socket.js"),
    import("./inspection.js"),
    import("./version-handlers.js"),
  ]);
  try {
    const socket = await openControlSocket(path, {
      ...controlHandlers(store),
      ...versionHandlers(store),
      ...others,
    });
    return () => socket.close();
  } catch (error) {
    if (!(error instanceof EmbershardError) || error.code !== "IO") throw error;
    // A file system without sockets, say.
    process.emitWarning(
      `${error.message}: the command line cannot ask this store while it is open`,
      "EmbershardWarning",
    );
    return async () => {};
  }
}
