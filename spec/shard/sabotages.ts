// What can go wrong with the disks under a life of a store.
import type { Sabotage } from "./fault-life.js";

export const none: Sabotage = () => {};
export const fullLog: Sabotage = ({ files }, random) => {
  const used = files.names().reduce((sum, name) => sum + files.content(name).length, 0);
  files.capacityBytes = used + random.below(20_000);
};
export const fullPages: Sabotage = ({ pages }, random) => {
  pages.capacityBytes = random.below(200_000);
};
export const badWrite: Sabotage = ({ files }, random) =>
  files.failOnce("write", random.below(4), random.below(2) ? "EIO" : "ENOSPC");
export const badSync: Sabotage = ({ files }, random) => files.failOnce("datasync", random.below(3));
export const badAnything: Sabotage = ({ files }, random) => files.failOnce("any", random.below(20));
export const badPages: Sabotage = ({ pages }, random) =>
  pages.failOnce("write", random.below(4), random.below(2) ? "EIO" : "ENOSPC");
export const badReads: Sabotage = ({ pages }, random) => pages.failOnce("read", random.below(6));
/** Everything that can fail. */
export const everything: readonly Sabotage[] = [
  none,
  fullLog,
  fullPages,
  badWrite,
  badSync,
  badAnything,
  badPages,
];
