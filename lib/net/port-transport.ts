// Connections between threads of one process: each is a pair of ports, one of which goes through a door to whoever listens.
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { EmbershardError } from "../base/errors.js";
import { checkConnectOptions, checkLimits } from "./checked-options.js";
import type { Address, ConnectingTransport, Listener, ListeningTransport } from "./connection.js";
import { PortConnection } from "./port-connection.js";

/** Listens at a door, through which ports come. Where it listens is not said by an address; `number` stands for its port. */
export function portListening(door: MessagePort, number: number): ListeningTransport {
  return {
    async listen(at, limits, accept) {
      checkLimits(limits);
      const open = new Set<PortConnection>();
      let serial = 0;
      const take = (port: MessagePort) => {
        const connection = new PortConnection(port, `thread#${++serial}`, limits.messageBytes);
        const receiver = accept(connection, { path: "/" });
        open.add(connection);
        connection.begin({
          message: (bytes) => receiver.message(bytes),
          drained: () => receiver.drained?.(),
          closed: (code, reason) => {
            open.delete(connection);
            receiver.closed(code, reason);
          },
        });
      };
      door.on("message", take);
      const listener: Listener = {
        host: at.host,
        port: number,
        get connections() {
          return open.size;
        },
        async close() {
          door.off("message", take);
          for (const connection of [...open]) connection.close(1001, "the listener closes");
          // What ends connections is queued.
          await new Promise((resolve) => setImmediate(resolve));
        },
      };
      return listener;
    },
  };
}

/** Connects through doors, by the numbers of their listeners. `nameOf` is what messages call those. */
export function portConnecting(
  doors: ReadonlyMap<number, MessagePort>,
  nameOf: (to: Address) => string,
): ConnectingTransport {
  return {
    async connect(to, receiver, options) {
      checkConnectOptions(options);
      const door = doors.get(to.port);
      if (!door)
        throw new EmbershardError(
          "INTERNAL",
          `${nameOf(to)}: its thread has ended: close the store and open it again`,
        );
      const { port1, port2 } = new MessageChannel();
      const connection = new PortConnection(port1, nameOf(to), options.messageBytes);
      connection.begin(receiver);
      door.postMessage(port2, [port2]);
      return connection;
    },
  };
}
