import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { EmbershardError } from "../../lib/index.js";
import { Random } from "./random.js";

export interface User {
  readonly id: string;
  readonly age: number;
  readonly gender: string;
  readonly occupation: string;
}

export interface Item {
  readonly id: string;
  readonly genres: readonly string[];
}

/** Ratings as columns: rating `i` was given by `users[user[i]]` to `items[item[i]]`. */
export interface Ratings {
  readonly user: Int32Array;
  readonly item: Int32Array;
  /** 1 to 5 stars. */
  readonly stars: Float32Array;
}

export interface Dataset {
  readonly name: string;
  readonly users: readonly User[];
  readonly items: readonly Item[];
  readonly ratings: Ratings;
}

/** Two parts of positions in `Dataset.ratings` that have none in common. */
export interface Split {
  readonly train: Int32Array;
  readonly heldOut: Int32Array;
}

/** MovieLens 100K's genres, in the order of the last 19 columns of `u.item`. */
export const GENRES =
  "unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy Film-Noir Horror Musical Mystery Romance Sci-Fi Thriller War Western".split(
    " ",
  );

/**
 * Reads `u.data`, `u.item` and `u.user` of MovieLens 100K (https://grouplens.org/datasets/movielens/100k/) from
 * `directory`, as GroupLens packs them (tabs in `u.data`, no header) or with `|` everywhere and a header.
 * INVALID_ARGUMENT names the file, and the line that is not as the format says.
 */
export async function readMovieLens(directory: string): Promise<Dataset> {
  // One after the other, so that the same directory always gives the same error.
  const data = await text(directory, "u.data");
  const items = parseItems(await text(directory, "u.item"));
  const users = parseUsers(await text(directory, "u.user"));
  return { name: "MovieLens 100K", users, items, ratings: parseRatings(data, users, items) };
}

export function parseUsers(text: string): User[] {
  return records(text, "u.user", 5).map(({ fields, where }) => ({
    id: fields[0]!,
    age: integer(fields[1]!, 0, 150, `${where}: age`),
    gender: fields[2]!,
    occupation: fields[3]!,
  }));
}

export function parseItems(text: string): Item[] {
  const first = 5;
  return records(text, "u.item", first + GENRES.length).map(({ fields }) => ({
    id: fields[0]!,
    genres: GENRES.filter((_, i) => fields[first + i] === "1"),
  }));
}

/** Users and items must be those that the ratings name. */
export function parseRatings(text: string, users: readonly User[], items: readonly Item[]): Ratings {
  const userOf = new Map(users.map((user, i) => [user.id, i]));
  const itemOf = new Map(items.map((item, i) => [item.id, i]));
  const lines = records(text, "u.data", 4);
  const user = new Int32Array(lines.length);
  const item = new Int32Array(lines.length);
  const stars = new Float32Array(lines.length);
  for (const [i, { fields, where }] of lines.entries()) {
    user[i] = known(userOf, fields[0]!, `${where}: user`);
    item[i] = known(itemOf, fields[1]!, `${where}: item`);
    stars[i] = integer(fields[2]!, 1, 5, `${where}: rating`);
  }
  return { user, item, stars };
}

/** Holds out a random fifth of `count` ratings to test with: a function of `seed` alone. */
export function splitRatings(count: number, seed: number): Split {
  return split(
    Int32Array.from({ length: count }, (_, i) => i),
    0.2,
    new Random(seed, 1),
  );
}

/** Holds out a random tenth of a training part to choose settings with: a function of `seed` alone. */
export function splitTraining(train: Int32Array, seed: number): Split {
  return split(train, 0.1, new Random(seed, 2));
}

function split(positions: Int32Array, share: number, random: Random): Split {
  const order = random.permutation(positions.length).map((index) => positions[index]!);
  const heldOut = Math.round(positions.length * share);
  return { heldOut: order.slice(0, heldOut), train: order.slice(heldOut) };
}

async function text(directory: string, file: string): Promise<string> {
  try {
    return await readFile(join(directory, file), "latin1");
  } catch (cause) {
    const expected = "expected the directory of MovieLens 100K with u.data, u.item and u.user";
    throw new EmbershardError("INVALID_ARGUMENT", `cannot read ${file} in ${directory}; ${expected}`, {
      cause,
    });
  }
}

interface Line {
  readonly fields: readonly string[];
  readonly where: string;
}

/** The lines of a file without its header, if it has one: ids are numbers, names of columns are not. */
function records(text: string, file: string, columns: number): Line[] {
  const lines: Line[] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line === "") continue;
    const fields = line.split(/[|\t]/);
    if (i === 0 && !/^\d+$/.test(fields[0]!)) continue;
    const where = `${file}, line ${i + 1}`;
    if (fields.length !== columns)
      throw malformed(`${where}: found ${fields.length} columns, expected ${columns}`);
    lines.push({ fields, where });
  }
  if (lines.length === 0) throw malformed(`${file}: no records found`);
  return lines;
}

function integer(text: string, least: number, most: number, what: string): number {
  const value = Number(text);
  if (text === "" || !Number.isInteger(value) || value < least || value > most)
    throw malformed(`${what}: found "${text}", expected a whole number from ${least} to ${most}`);
  return value;
}

function known(positions: ReadonlyMap<string, number>, id: string, what: string): number {
  const position = positions.get(id);
  if (position === undefined) throw malformed(`${what}: "${id}" has no line in its own file`);
  return position;
}

function malformed(message: string): EmbershardError {
  return new EmbershardError("INVALID_ARGUMENT", message);
}
