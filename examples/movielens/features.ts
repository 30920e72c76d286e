import { keysOf } from "../../lib/index.js";
import type { Dataset, Item, User } from "./data.js";

/** Sparse features: the numbers of those that are present and the value `x` of each. Both have one length. */
export interface FeatureList {
  readonly feature: Int32Array;
  readonly x: Float32Array;
}

/**
 * What the model sees of a rating: the features of its user (id, age, gender, occupation) and of its item (id, genres).
 * A feature is a number of [0, keys.length); `keys[number]` is the key of its rows in the store.
 */
export interface Features {
  readonly keys: BigUint64Array;
  /** By the position of the user in `Dataset.users`. */
  readonly ofUser: readonly FeatureList[];
  /** By the position of the item in `Dataset.items`. */
  readonly ofItem: readonly FeatureList[];
}

export function featuresOf(dataset: Dataset): Features {
  const vocabulary = new Vocabulary();
  const ofUser = dataset.users.map((user) => vocabulary.list(valuesOfUser(user)));
  const ofItem = dataset.items.map((item) => vocabulary.list(valuesOfItem(item)));
  return { keys: vocabulary.keys(), ofUser, ofItem };
}

type Value = readonly [name: string, value: string, x: number];

function valuesOfUser(user: User): Value[] {
  return [
    ["user", user.id, 1],
    ["age", ageGroup(user.age), 1],
    ["gender", user.gender, 1],
    ["occupation", user.occupation, 1],
  ];
}

/** An item's genres together weigh as much as one feature: x = 1 / sqrt(n) each. */
function valuesOfItem(item: Item): Value[] {
  const x = 1 / Math.sqrt(item.genres.length);
  return [["item", item.id, 1], ...item.genres.map((genre): Value => ["genre", genre, x])];
}

/** The groups that MovieLens 1M asks for, by their youngest age. */
const AGE_GROUPS = [0, 18, 25, 35, 45, 50, 56];

export function ageGroup(age: number): string {
  return String(AGE_GROUPS.findLast((youngest) => youngest <= age));
}

/** Numbers features in the order in which they are first met. */
class Vocabulary {
  readonly #values = new Map<string, string[]>();
  readonly #numbers = new Map<string, Map<string, number>>();
  readonly #places: [name: string, index: number][] = [];

  list(values: readonly Value[]): FeatureList {
    return {
      feature: Int32Array.from(values, ([name, value]) => this.#number(name, value)),
      x: Float32Array.from(values, ([, , x]) => x),
    };
  }

  /** Keys in the order of numbers, hashed in one batch per feature name. */
  keys(): BigUint64Array {
    const hashed = new Map([...this.#values].map(([name, values]) => [name, keysOf(name, values)]));
    return BigUint64Array.from(this.#places, ([name, index]) => hashed.get(name)![index]!);
  }

  #number(name: string, value: string): number {
    const numbers = this.#numbers.get(name) ?? new Map<string, number>();
    const values = this.#values.get(name) ?? [];
    this.#numbers.set(name, numbers);
    this.#values.set(name, values);
    const known = numbers.get(value);
    if (known !== undefined) return known;
    const number = this.#places.length;
    numbers.set(value, number);
    this.#places.push([name, values.length]);
    values.push(value);
    return number;
  }
}
