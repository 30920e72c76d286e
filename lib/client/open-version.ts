// Versions that are read over connections of their own: each begins by having the shard open the version, and all that is
// asked there is asked of it. When they end, the shard lets it go.
import { EmbershardError } from "../base/errors.js";
import { type Channel, unexpected } from "./channel.js";
import { demandFeature } from "./features.js";

/** What `Cluster` does first on its connections. */
export class VersionOpening {
  readonly #name: string;
  /** The checkpoints that the version is, by owner: "node/shard". */
  readonly #generations: ReadonlyMap<string, number>;

  constructor(name: string, generations: ReadonlyMap<string, number>) {
    this.#name = name;
    this.#generations = generations;
  }

  /**
   * Has the shard of a connection open the version.
   *
   * @throws VERSION_NOT_FOUND, UNSUPPORTED, and what reading it throws; ABORTED where another one has its name by now
   */
  readonly begin = async (channel: Channel): Promise<void> => {
    demandFeature(channel, "versions", "reading a version");
    const { number, generation } = await this.#open(channel);
    const { node, shard } = channel.welcome;
    if (this.#generations.get(`${node}/${shard}`) !== generation)
      throw new EmbershardError(
        "ABORTED",
        `${channel.name}: version "${this.#name}" was deleted and made anew since it was opened: open it again`,
      );
    channel.version = number;
  };

  #open(channel: Channel): Promise<{ readonly number: number; readonly generation: number }> {
    return new Promise((resolve, reject) => {
      channel.request(
        { kind: "OpenVersion", name: this.#name },
        {},
        {
          answer: ({ body }) => {
            if (body.kind !== "VersionReply") throw unexpected(channel.name, body.kind, "VersionReply");
            resolve({ number: body.number, generation: body.generation });
          },
          failed: reject,
        },
      );
    });
  }
}
