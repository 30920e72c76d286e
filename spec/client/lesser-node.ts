// A way to nodes that do not do all that a client may ask of them: what it offers in its greeting is cut short on the way.
import type { ConnectingTransport, Connection } from "../../lib/net/connection.js";
import { FIRST_TERMS } from "../../lib/wire/frame.js";
import { readFrame } from "../../lib/wire/frame-reader.js";
import { FrameWriter } from "../../lib/wire/frame-writer.js";

/** Connections over `transport`, on which both agree on features of `features` only. */
export function overLesserNodes(transport: ConnectingTransport, features: number): ConnectingTransport {
  return {
    connect: async (to, receiver, options) =>
      greetingLess(await transport.connect(to, receiver, options), features),
  };
}

function greetingLess(connection: Connection, features: number): Connection {
  let greeted = false;
  return {
    get peer() {
      return connection.peer;
    },
    get waitingBytes() {
      return connection.waitingBytes;
    },
    send(parts, taken) {
      if (greeted) return connection.send(parts, taken);
      greeted = true;
      const frame = readFrame(Buffer.concat(parts), FIRST_TERMS);
      const { body } = frame;
      if (body.kind !== "Hello") throw new Error(`found ${body.kind} first`);
      const less = { ...frame, body: { ...body, features: body.features & features } };
      connection.send(new FrameWriter().write(less).parts());
      taken?.();
    },
    close: (code, reason) => connection.close(code, reason),
    terminate: () => connection.terminate(),
  };
}
