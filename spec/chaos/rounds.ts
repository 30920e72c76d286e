// The parent of the chaos script: lets a child work on a store, kills it, and compares what can be recovered with oracles.
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Prng } from "../../lib/base/prng.js";
import { openStore, type Store } from "../../lib/index.js";
import { Expectation } from "./expectation.js";
import { type Journal, type LifePlan, type Phase, readJournal } from "./life.js";
import type { Scale } from "./operations.js";
import { readContents } from "./world.js";

const phases: readonly Phase[] = ["open", "push", "grow", "delete", "checkpoint", "structure"];
const lifeScript = fileURLToPath(new URL("./life.js", import.meta.url));
/** Rounds after which a new store is begun. */
const storyRounds = 40;
const usualScale: Scale = { keys: 3000, batch: 60, burst: 1200 };

export interface Tally {
  rounds: number;
  /** Kills by what the child was doing. */
  readonly kills: Record<Phase, number>;
  /** Lives that closed the store by themselves. */
  closed: number;
  operations: number;
  /** Versions that were opened and compared. */
  versions: number;
}

/** What went wrong, with the seed that shows it. */
export class ChaosFailure extends Error {
  readonly seed: number;
  readonly round: number;
  readonly directory: string;

  constructor(seed: number, round: number, directory: string, what: string) {
    super(`seed ${seed}, round ${round}: ${what} (the directory is left at ${directory})`);
    this.name = "ChaosFailure";
    this.seed = seed;
    this.round = round;
    this.directory = directory;
  }
}

/** Kills `rounds` times. Calls back after each round. @throws ChaosFailure */
export async function runRounds(
  rounds: number,
  seed: number,
  onRound: (tally: Tally) => void,
): Promise<Tally> {
  const kills = Object.fromEntries(phases.map((phase) => [phase, 0])) as Record<Phase, number>;
  const tally: Tally = { rounds: 0, kills, closed: 0, operations: 0, versions: 0 };
  for (let begun = 0; begun < rounds; begun += storyRounds) {
    const story = new Story((seed + begun) >>> 0, tally);
    for (let round = begun; round < Math.min(rounds, begun + storyRounds); round++) {
      await story.round(round);
      onRound(tally);
    }
    story.end();
  }
  return tally;
}

/** One store over many kills, and what it has to hold. */
class Story {
  readonly #seed: number;
  readonly #scale: Scale;
  readonly #tally: Tally;
  readonly #random: Prng;
  readonly #place: string;
  readonly #directory: string;
  readonly #expectation: Expectation;
  readonly #phasesLeft: Phase[] = [];

  constructor(seed: number, tally: Tally) {
    this.#seed = seed;
    this.#tally = tally;
    this.#random = new Prng(seed);
    // Tables of every other seed have a limit of memory.
    this.#scale = { ...usualScale, limited: seed % 2 === 1 };
    this.#expectation = new Expectation(seed, this.#scale);
    this.#place = mkdtempSync(join(tmpdir(), "embershard-chaos-"));
    this.#directory = join(this.#place, "store");
    mkdirSync(this.#directory);
  }

  async round(round: number): Promise<void> {
    // Each phase once, in any order, before one comes again: few rounds see all of them.
    if (this.#phasesLeft.length === 0) this.#phasesLeft.push(...phases);
    const [phase] = this.#phasesLeft.splice(this.#random.below(this.#phasesLeft.length), 1);
    const journal = join(this.#place, "journal");
    writeFileSync(journal, "");
    const count = 1 + (phase === "open" ? 0 : this.#random.below(phase === "push" ? 100 : 8));
    const plan: LifePlan = {
      directory: this.#directory,
      journal,
      seed: this.#seed,
      from: this.#expectation.applied + 1,
      scale: this.#scale,
      window: 1 + this.#random.below(12),
      signal: { phase, count },
      operations: 20 + this.#random.below(200),
    };
    const output = await this.#liveAndDie(plan);
    const left = readJournal(journal);
    const fail = (what: string) => new ChaosFailure(this.#seed, round, this.#place, what);
    if (left.failure) throw fail(`the child ended by itself: ${left.failure}`);
    if (left.closed) this.#tally.closed++;
    else if (output.signal !== "SIGKILL")
      throw fail(`the child ended with ${output.code ?? output.signal}: ${output.text}`);
    else this.#tally.kills[left.opened || left.sent > 0 ? phase : "open"]++;
    // A recovery that is killed itself: the next life's. Now and then nobody looks in between.
    if (!left.opened && this.#random.below(2) === 0) {
      this.#tally.rounds++;
      return;
    }
    await this.#verify(left, fail);
    this.#tally.rounds++;
  }

  /** Runs the child until some milliseconds after it has said that it is where it should be killed. */
  #liveAndDie(plan: LifePlan): Promise<{ code: number | null; signal: string | null; text: string }> {
    const delayMs =
      this.#random.below(4) === 0 ? 0 : this.#random.unit() * (plan.signal.phase === "open" ? 60 : 12);
    return new Promise((resolve) => {
      const child = spawn(process.execPath, ["--enable-source-maps", lifeScript, JSON.stringify(plan)], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      let text = "";
      child.stderr.on("data", (data) => (text += data));
      child.stdout.once("data", () => setTimeout(() => child.kill("SIGKILL"), delayMs));
      child.on("close", (code, signal) => resolve({ code, signal, text }));
    });
  }

  async #verify(left: Journal, fail: (what: string) => ChaosFailure): Promise<void> {
    if (process.env.EMBERSHARD_KEEP) keepCopy(this.#directory, join(this.#place, "before"));
    const before = this.#expectation.applied;
    try {
      const store = await openStore(this.#directory, {
        control: false,
        hugePages: "off",
        arenaBytes: 32 << 20,
        checkpoint: false,
      });
      const contents = await readContents(store);
      const acknowledged = left.closed ? left.sent : left.acknowledged;
      this.#expectation.demand({
        contents,
        mark: await store.mark(),
        sent: left.sent,
        acknowledged,
        checkpointed: left.checkpointed,
      });
      await this.#verifyVersion(store, left, Math.max(left.sent, before));
      await store.close();
    } catch (error) {
      throw fail((error as Error).stack!);
    }
    this.#tally.operations += this.#expectation.applied - before;
  }

  /** The newest version that was acknowledged is there, and one of those that are there is the oracle after some operation. */
  async #verifyVersion(store: Store, left: Journal, sent: number): Promise<void> {
    const names = (await store.versions()).map(({ name, damage }) => {
      if (damage !== undefined) throw new Error(`version ${name} is damaged: ${damage}`);
      return name;
    });
    if (left.version > 0 && !names.includes(`v${left.version}`))
      throw new Error(`version v${left.version} is lost: there are ${names.join(", ")}`);
    if (names.length === 0) return;
    const version = await store.openVersion(names[this.#random.below(names.length)]);
    const contents = await readContents(version);
    const mark = await version.mark();
    // What the unlogged table was depends on the kills before it.
    const fresh = new Expectation(this.#seed, this.#scale);
    fresh.demand({ contents, mark, sent, acknowledged: 0, checkpointed: undefined });
    await version.close();
    this.#tally.versions++;
  }

  end(): void {
    rmSync(this.#place, { recursive: true, force: true });
  }
}

/** For those who look for the cause of a failure: the directory as it was before it was recovered. */
function keepCopy(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true });
}
