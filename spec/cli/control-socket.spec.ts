import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import { connectControl, ownerPid } from "../../lib/embedded/control-client.js";
import { LONGEST_REQUEST_BYTES, openControlSocket } from "../../lib/embedded/control-socket.js";

const test = suite<{ directory: string }>("control socket");

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "control-spec-"));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

const handlers = {
  add: (params: unknown) => (params as number[]).reduce((sum, value) => sum + value, 0),
  later: async () => "after a while",
  refuse: () => {
    throw new EmbershardError("TABLE_NOT_FOUND", "no table of that name");
  },
  fail: () => {
    throw new Error("broken");
  },
  bigint: () => 1n,
};

async function rejection(promise: Promise<unknown>): Promise<EmbershardError> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, EmbershardError);
    return error as EmbershardError;
  }
  throw new Error("did not reject");
}

test("answers what the owner's handlers say, several questions on one connection", async ({ directory }) => {
  const socket = await openControlSocket(directory, handlers);
  const client = (await connectControl(directory))!;
  const answers = await Promise.all([
    client.ask("add", [1, 2]),
    client.ask("later"),
    client.ask("add", [3, 4]),
  ]);
  assert.equal(answers, [3, "after a while", 7]);
  assert.equal(await client.ask("owner"), { pid: process.pid });
  client.close();
  assert.is(await ownerPid(directory), process.pid);
  await socket.close();
});

test("a handler's error arrives with its code; the connection goes on", async ({ directory }) => {
  const socket = await openControlSocket(directory, handlers);
  const client = (await connectControl(directory))!;
  const refused = await rejection(client.ask("refuse"));
  assert.is(refused.code, "TABLE_NOT_FOUND");
  assert.is(refused.message, "no table of that name");
  assert.is((await rejection(client.ask("fail"))).code, "INTERNAL");
  assert.is((await rejection(client.ask("bigint"))).code, "INTERNAL");
  assert.match(
    (await rejection(client.ask("toString"))).message,
    /unknown method "toString"; there are add, later/,
  );
  assert.is(await client.ask("add", [1]), 1);
  client.close();
  await socket.close();
});

test("long work tells how far it is, and stops when its asker goes away", async ({ directory }) => {
  let stopped = () => {};
  const aborted = new Promise<void>((resolve) => {
    stopped = resolve;
  });
  const socket = await openControlSocket(directory, {
    count: (params, { progress }) => {
      for (let i = 1; i <= (params as number); i++) progress({ i });
      return "counted";
    },
    wait: (_, { signal }) =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => {
          stopped();
          resolve("too late");
        });
      }),
  });
  const client = (await connectControl(directory))!;
  const heard: unknown[] = [];
  const onProgress = (value: unknown) => heard.push(value);
  assert.is(await client.ask("count", 1000, { onProgress }), "counted");
  assert.equal(heard[0], { i: 1 });
  assert.ok(heard.length < 1000, "progress that comes too fast is left out");
  const impatient = new AbortController();
  const waiting = rejection(client.ask("wait", undefined, { signal: impatient.signal }));
  // The owner's socket does not keep the process alive.
  const alive = setInterval(() => {}, 1000);
  impatient.abort();
  assert.is((await waiting).code, "ABORTED");
  await aborted;
  clearInterval(alive);
  await socket.close();
});

test("only its owner may open the socket, and no other moment of its life is different", async ({
  directory,
}) => {
  chmodSync(directory, 0o777);
  const socket = await openControlSocket(directory, handlers);
  assert.equal(readdirSync(directory), ["control.sock"]);
  assert.is(lstatSync(join(directory, "control.sock")).mode & 0o777, 0o600);
  assert.ok(lstatSync(join(directory, "control.sock")).isSocket());
  await socket.close();
});

test("nothing is left after closing; nobody answers", async ({ directory }) => {
  const socket = await openControlSocket(directory, handlers);
  const client = (await connectControl(directory))!;
  await Promise.all([socket.close(), socket.close()]);
  assert.equal(readdirSync(directory), []);
  assert.is((await rejection(client.ask("add", [1]))).code, "IO");
  assert.is(await connectControl(directory), undefined);
  assert.is(await ownerPid(directory), undefined);
});

test("an owner that is late to close leaves the next one's socket alone", async ({ directory }) => {
  const late = await openControlSocket(directory, handlers);
  const next = await openControlSocket(directory, handlers);
  await late.close();
  assert.is(await ownerPid(directory), process.pid);
  await next.close();
  assert.equal(readdirSync(directory), []);
});

test("switched off: a directory without a socket has nobody to ask", async ({ directory }) => {
  assert.is(await connectControl(directory), undefined);
  assert.is(await connectControl(join(directory, "missing")), undefined);
});

test("a killed owner's socket is nobody's, and is replaced", async ({ directory }) => {
  const owner = spawn(process.execPath, ["--input-type=module", "-e", OWNER, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(owner.stdout, "data");
  assert.is(await ownerPid(directory), owner.pid);
  owner.kill("SIGKILL");
  await once(owner, "exit");
  assert.ok(existsSync(join(directory, "control.sock")));
  mkdirSync(join(directory, ".control-killed"));
  assert.is(await connectControl(directory), undefined);
  const socket = await openControlSocket(directory, handlers);
  assert.equal(readdirSync(directory), ["control.sock"]);
  assert.is(await ownerPid(directory), process.pid);
  await socket.close();
});

const OWNER = `
import { openControlSocket } from ${JSON.stringify(new URL("../../lib/embedded/control-socket.js", import.meta.url).href)};
await openControlSocket(process.argv[1], {});
console.log("ready");
setInterval(() => {}, 1000);
`;

test("does not keep its process alive", async ({ directory }) => {
  // A process that the socket keeps alive ends by this timer, which alone does not keep it.
  const script = OWNER.replace(
    "setInterval(() => {}, 1000);",
    "setTimeout(() => process.exit(3), 2000).unref();",
  );
  const owner = spawn(process.execPath, ["--input-type=module", "-e", script, directory], {
    stdio: "ignore",
  });
  const [code] = await once(owner, "exit");
  assert.is(code, 0);
});

test("a path longer than a socket's address may be works as any other", async ({ directory }) => {
  const long = join(directory, "x".repeat(90), "y".repeat(90));
  mkdirSync(long, { recursive: true });
  const before = temporaries();
  const socket = await openControlSocket(long, handlers);
  assert.equal(readdirSync(long), ["control.sock"]);
  assert.is(await ownerPid(long), process.pid);
  await socket.close();
  assert.equal(readdirSync(long), []);
  assert.equal(temporaries(), before, "links in the temp directory are removed");
});

function temporaries(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith("embershard-"));
}

test("an owner that says nothing is reported, and which", async ({ directory }) => {
  const socket = await openControlSocket(directory, { hang: () => new Promise(() => {}) });
  const client = (await connectControl(directory, { timeoutMs: 20 }))!;
  const error = await rejection(client.ask("hang"));
  assert.is(error.code, "IO");
  assert.match(error.message, /did not answer within 20 ms/);
  await socket.close();
});

test("what is not a request is answered as such; an endless line ends the connection", async ({
  directory,
}) => {
  const socket = await openControlSocket(directory, handlers);
  const peer = connect(join(directory, "control.sock"));
  peer.setEncoding("utf8");
  peer.write("nonsense\n");
  const [answer] = (await once(peer, "data")) as [string];
  assert.is(JSON.parse(answer).error.code, "INVALID_ARGUMENT");
  peer.write('null\n{"id":7,"method":"add","params":[5]}\n');
  let text = "";
  while (text.split("\n").length < 3) text += ((await once(peer, "data")) as [string])[0];
  assert.equal(JSON.parse(text.split("\n")[1]!), { id: 7, result: 5 });
  peer.on("error", () => {});
  peer.write("x".repeat(LONGEST_REQUEST_BYTES + 1));
  await once(peer, "close");
  assert.is(await ownerPid(directory), process.pid, "others are still answered");
  await socket.close();
});

test("a directory in which no socket can be made is an IO error", async ({ directory }) => {
  const error = await rejection(openControlSocket(join(directory, "missing"), handlers));
  assert.is(error.code, "IO");
  assert.match(error.message, /no control socket in .*missing/);
});

test.run();
