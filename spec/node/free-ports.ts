import { createServer, type Server } from "node:net";

/** A port with `more` free ones right above it, all of them below those that the system gives to clients. */
export async function freePorts(more: number): Promise<number> {
  for (let port = 20_000 + (process.pid % 1000) * 10; port < 32_000; port += more + 1) {
    const servers: Server[] = [];
    try {
      for (let i = 0; i <= more; i++) servers.push(await occupy(port + i));
      return port;
    } catch {
      // Somebody has one of them: the next ones, then.
    } finally {
      for (const server of servers) await new Promise((resolve) => server.close(resolve));
    }
  }
  throw new Error("no ports are free");
}

function occupy(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}
