import { type Dataset, GENRES, type Item, type Ratings, type User } from "./data.js";
import { Random } from "./random.js";

export interface GeneratedSize {
  readonly users: number;
  readonly items: number;
  readonly ratings: number;
}

const OCCUPATIONS =
  "artist doctor educator engineer librarian other programmer scientist student writer".split(" ");
const RANK = 4;

/**
 * Ratings of people who do not exist, by a planted model of MovieLens' own shape: stars are the sum of a mean, a user's and
 * an item's leaning, what an age group thinks of a genre, and the product of a user's and an item's hidden tastes, plus noise.
 * A few items get most of the ratings (rank to the power -0.8), nobody rates an item twice. A function of `seed` and
 * `size` alone; `size.ratings` at most half of `users * items`.
 */
export function generateData(
  seed: number,
  size: GeneratedSize = { users: 800, items: 1200, ratings: 60_000 },
): Dataset {
  const random = new Random(seed, 0x9e4);
  const users = Array.from({ length: size.users }, (_, i) => generatedUser(random, i));
  const items = Array.from({ length: size.items }, (_, i) => generatedItem(random, i));
  const ratings = generateRatings(random, users, items, size.ratings);
  return { name: `generated data (seed ${seed}, planted model)`, users, items, ratings };
}

function generatedUser(random: Random, i: number): User {
  const age = 14 + random.below(50);
  const gender = random.unit() < 0.7 ? "M" : "F";
  return { id: String(i + 1), age, gender, occupation: OCCUPATIONS[random.below(OCCUPATIONS.length)]! };
}

function generatedItem(random: Random, i: number): Item {
  const first = 1 + random.below(GENRES.length - 1);
  const second = 1 + random.below(GENRES.length - 1);
  const genres =
    first === second || random.unit() < 0.5 ? [GENRES[first]!] : [GENRES[first]!, GENRES[second]!];
  return { id: String(i + 1), genres };
}

function generateRatings(
  random: Random,
  users: readonly User[],
  items: readonly Item[],
  count: number,
): Ratings {
  const userBias = bells(random, users.length, 0.4);
  const itemBias = bells(random, items.length, 0.5);
  const userTaste = bells(random, users.length * RANK, 0.55);
  const itemTaste = bells(random, items.length * RANK, 0.55);
  const decadeTaste = bells(random, 7 * GENRES.length, 0.3);
  const popular = cumulativeShares(items.length);
  const user = new Int32Array(count);
  const item = new Int32Array(count);
  const stars = new Float32Array(count);
  const rated = new Set<number>();
  for (let r = 0; r < count; ) {
    const u = random.below(users.length);
    const i = shareAt(popular, random.unit());
    if (rated.has(u * items.length + i)) continue;
    rated.add(u * items.length + i);
    let value = 3.5 + userBias[u]! + itemBias[i]! + random.bell() * 0.7;
    for (let f = 0; f < RANK; f++) value += userTaste[u * RANK + f]! * itemTaste[i * RANK + f]!;
    const decade = Math.floor(users[u]!.age / 10);
    for (const genre of items[i]!.genres)
      value += decadeTaste[decade * GENRES.length + GENRES.indexOf(genre)]!;
    user[r] = u;
    item[r] = i;
    stars[r++] = Math.min(5, Math.max(1, Math.round(value)));
  }
  return { user, item, stars };
}

function bells(random: Random, count: number, deviation: number): Float64Array {
  return Float64Array.from({ length: count }, () => random.bell() * deviation);
}

/** Running totals of rank^-0.8, ending at 1. */
function cumulativeShares(count: number): Float64Array {
  const shares = new Float64Array(count);
  let total = 0;
  for (let i = 0; i < count; i++) {
    total += (i + 1) ** -0.8;
    shares[i] = total;
  }
  return shares.map((share) => share / total);
}

/** The first position whose running total is above `at`. */
function shareAt(shares: Float64Array, at: number): number {
  let low = 0;
  let high = shares.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (shares[middle]! > at) high = middle;
    else low = middle + 1;
  }
  return low;
}
