import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";

// Where the owner of a directory listens for the command line:
//
//     DIR/control.sock      a Unix socket, mode 0600
//     DIR/control.path      on Windows: the name of a named pipe that nobody can guess, UTF-8, one line
//     DIR/.control-XXXXXX/  mode 0700, for a moment: where a socket is born, so that it is never open to others
const SOCKET_NAME = "control.sock";
const PIPE_RECORD = "control.path";
const BIRTHPLACE = ".control-";
const PIPE_PREFIX = "\\\\.\\pipe\\embershard-";

/** What does not fit `sun_path` (104 bytes on macOS, 108 on Linux) is cut off without a word. */
const LONGEST_PATH_BYTES = 100;
/** Room below a directory for the longest name: `/.control-XXXXXX/s`. */
const NAME_BYTES = 18;

/**
 * Lets `listen` bind a socket or pipe for `directory`, and gives the path or name that it ends up at.
 * Whatever an owner that was killed left there is replaced: the caller holds the directory's lock.
 */
export async function bindAddress(
  directory: string,
  listen: (address: string) => Promise<void>,
  setMode: (address: string) => Promise<void>,
): Promise<string> {
  await removeAddress(directory);
  if (process.platform === "win32") {
    const pipe = PIPE_PREFIX + randomBytes(16).toString("hex");
    await listen(pipe);
    await writeFile(join(directory, PIPE_RECORD), `${pipe}\n`, { mode: 0o600 });
    return pipe;
  }
  const place = await mkdtemp(join(directory, BIRTHPLACE));
  try {
    await withShortPath(directory, (short) => listen(join(short, basename(place), "s")));
    await setMode(join(place, "s"));
    // Connecting goes by the file, not by the name that it was bound to, so a bound socket may be renamed.
    await rename(join(place, "s"), join(directory, SOCKET_NAME));
  } finally {
    await rm(place, { recursive: true, force: true });
  }
  return join(directory, SOCKET_NAME);
}

/** Lets `connect` use the address at which the directory's owner listens; undefined where there is none. */
export async function useAddress<T>(
  directory: string,
  connect: (address: string) => Promise<T>,
): Promise<T | undefined> {
  if (process.platform === "win32") {
    const pipe = await unlessMissing(readFile(join(directory, PIPE_RECORD), "utf8"));
    return pipe === undefined ? undefined : connect(pipe.trim());
  }
  if ((await unlessMissing(stat(join(directory, SOCKET_NAME)))) === undefined) return undefined;
  return withShortPath(directory, (short) => connect(join(short, SOCKET_NAME)));
}

/**
 * Gives a function that removes the address that is bound now, unless another owner's has taken its place since: the
 * directory may have been let go already.
 */
export async function addressRemover(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, process.platform === "win32" ? PIPE_RECORD : SOCKET_NAME);
  const { ino } = await stat(path);
  return async () => {
    const now = await unlessMissing(stat(path));
    if (now?.ino === ino) await rm(path, { force: true });
  };
}

/** Removes the address of a killed owner, and what it left of it. */
async function removeAddress(directory: string): Promise<void> {
  const left = (await readdir(directory)).filter((name) => name.startsWith(BIRTHPLACE));
  for (const name of [SOCKET_NAME, PIPE_RECORD, ...left]) {
    await rm(join(directory, name), { recursive: true, force: true });
  }
}

/** Gives `use` a path of the directory that a socket's address has room for: where needed, a link in the temp directory. */
async function withShortPath<T>(directory: string, use: (short: string) => Promise<T>): Promise<T> {
  const fits = (path: string) => Buffer.byteLength(path) + NAME_BYTES <= LONGEST_PATH_BYTES;
  if (fits(directory)) return use(directory);
  const parent = fits(join(tmpdir(), "embershard-XXXXXX", "d")) ? tmpdir() : "/tmp";
  const place = await mkdtemp(join(parent, "embershard-"));
  try {
    await symlink(resolve(directory), join(place, "d"));
    return await use(join(place, "d"));
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

async function unlessMissing<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}
