// Bugs to plant, so that the simulator is seen to notice them.
import type { ShardService } from "../../lib/node/shard-service.js";
import type { Shard } from "../../lib/shard/shard.js";

/** What a bug does to a shard that has been opened, and to its service. */
export interface Bug {
  readonly shard?: (shard: Shard) => void;
  readonly service?: (service: ShardService) => void;
}

/** A push that comes again is applied again. */
export const forgetsSequences: Bug = {
  shard: ({ state }) => {
    state.sequences.left = ({ first, last }) => [{ first, last }];
  },
};

/** A write is acknowledged before its record is in the log. */
export const acknowledgesEarly: Bug = {
  shard: ({ state }) => {
    state.log.written = () => undefined;
  },
};

/** A shard takes its part of a version without waiting for the others. */
export const doesNotStandStill: Bug = {
  shard: (shard) => {
    const { checkpoint } = shard;
    shard.checkpoint = (options, version) => {
      const { companion } = version ?? {};
      const hasty = companion && {
        begun: () => companion.begun(),
        ready: () => companion.ready(),
        still: async () => void companion.still().catch(() => {}),
        written: () => companion.written(),
      };
      return checkpoint.call(shard, options, version && { ...version, companion: hasty });
    };
  },
};

/** What was planned with another slot map is done nevertheless. */
export const servesOldEpochs: Bug = {
  service: (service) => {
    const { ownership } = service;
    service.ownership = () => {
      const owned = ownership.call(service);
      owned.demandEpoch = () => {};
      return owned;
    };
  },
};
