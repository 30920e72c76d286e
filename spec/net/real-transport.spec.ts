// The transports over sockets obey the laws.
import { test } from "uvu";
import { systemClock } from "../../lib/base/clock.js";
import { streamTransport } from "../../lib/net/stream-transport.js";
import { uWebSocketTransport } from "../../lib/net/uwebsockets-transport.js";
import { transportLaws } from "../laws/transport-laws.js";
import { until } from "./recorder.js";

const failures: unknown[] = [];
const setting = { clock: systemClock, failed: (error: unknown) => void failures.push(error) };
const transport = { ...uWebSocketTransport(setting), ...streamTransport(setting) };

transportLaws((name, body) =>
  test(name, async () => {
    failures.length = 0;
    await body({
      transport,
      port: 0,
      until,
      settle: () => new Promise((resolve) => setImmediate(resolve)),
    });
    const unplanned = failures.filter((error) => (error as Error).message !== "planned");
    if (unplanned.length > 0) throw unplanned[0];
  }),
);

test.run();
