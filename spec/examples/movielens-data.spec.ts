import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  GENRES,
  parseItems,
  parseRatings,
  parseUsers,
  readMovieLens,
  splitRatings,
  splitTraining,
} from "../../examples/movielens/data.js";
import { ageGroup, featuresOf } from "../../examples/movielens/features.js";
import { generateData } from "../../examples/movielens/generated-data.js";
import { keysOf } from "../../lib/index.js";

const test = suite("movielens data");

const flags = (...genres: string[]) => GENRES.map((genre) => (genres.includes(genre) ? "1" : "0")).join("|");
const USERS = "user|age|gender|occupation|zip\n1|24|M|technician|85711\n20|53|F|other|94043\n";
const ITEMS = `item|title|releaseDate|videoReleaseDate|imdbURL|${GENRES.join("|")}
1|Toy Story (1995)|01-Jan-1995||http://us.imdb.com|${flags("Animation", "Comedy")}
7|Heat (1995)|01-Jan-1995||http://us.imdb.com|${flags("Thriller")}
`;
const RATINGS = "user|item|rating|timestamp\n20|7|3|881250949\n1|1|5|891717742\n20|1|1|878887116\n";

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("did not throw");
}

test("reads users, items and ratings by their columns", () => {
  const users = parseUsers(USERS);
  const items = parseItems(ITEMS);
  assert.equal(users[1], { id: "20", age: 53, gender: "F", occupation: "other" });
  assert.equal(items, [
    { id: "1", genres: ["Animation", "Comedy"] },
    { id: "7", genres: ["Thriller"] },
  ]);
  const { user, item, stars } = parseRatings(RATINGS, users, items);
  assert.equal(
    [[...user], [...item], [...stars]],
    [
      [1, 0, 1],
      [1, 0, 0],
      [3, 5, 1],
    ],
  );
});

test("reads GroupLens' own packing: tabs, no header, CRLF", () => {
  const bare = (text: string) => text.slice(text.indexOf("\n") + 1);
  const users = parseUsers(bare(USERS).replaceAll("\n", "\r\n"));
  const items = parseItems(bare(ITEMS));
  assert.equal(users, parseUsers(USERS));
  assert.equal(items, parseItems(ITEMS));
  const tabs = bare(RATINGS).replaceAll("|", "\t");
  assert.equal(parseRatings(tabs, users, items), parseRatings(RATINGS, users, items));
});

test("what is not as the format says is named by file and line", () => {
  const users = parseUsers(USERS);
  const items = parseItems(ITEMS);
  const ratings = (line: string) => messageOf(() => parseRatings(`${RATINGS}${line}\n`, users, items));
  assert.is(ratings("1|1|5"), "u.data, line 5: found 3 columns, expected 4");
  assert.is(ratings("1|1|6|0"), 'u.data, line 5: rating: found "6", expected a whole number from 1 to 5');
  assert.is(ratings("1|1||0"), 'u.data, line 5: rating: found "", expected a whole number from 1 to 5');
  assert.is(ratings("2|1|5|0"), 'u.data, line 5: user: "2" has no line in its own file');
  assert.is(ratings("1|2|5|0"), 'u.data, line 5: item: "2" has no line in its own file');
  assert.is(
    messageOf(() => parseUsers("user|age|gender|occupation|zip\n")),
    "u.user: no records found",
  );
});

test("reads a directory, and names the file that it cannot", async () => {
  const directory = mkdtempSync(join(tmpdir(), "movielens-spec-"));
  try {
    writeFileSync(join(directory, "u.data"), RATINGS);
    writeFileSync(join(directory, "u.item"), ITEMS);
    const missing = await readMovieLens(directory).catch((error) => error);
    assert.is(missing.code, "INVALID_ARGUMENT");
    assert.match(missing.message, /cannot read u\.user in .*expected the directory of MovieLens/);
    writeFileSync(join(directory, "u.user"), USERS);
    const { users, items, ratings } = await readMovieLens(directory);
    assert.equal([users.length, items.length, ratings.stars.length], [2, 2, 3]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a split holds each rating once, by its seed alone", () => {
  const first = splitRatings(1000, 1);
  assert.is(first.heldOut.length, 200);
  const inner = splitTraining(first.train, 1);
  assert.is(inner.heldOut.length, 80);
  const all = [...first.heldOut, ...inner.heldOut, ...inner.train].sort((a, b) => a - b);
  assert.equal(
    all,
    Array.from({ length: 1000 }, (_, i) => i),
  );
  assert.equal(splitRatings(1000, 1), first);
  assert.not.equal(splitRatings(1000, 2), first);
});

test("features have the keys that keysOf gives, equal values one number", () => {
  const users = parseUsers(USERS);
  const items = parseItems(ITEMS);
  const features = featuresOf({ name: "", users, items, ratings: parseRatings(RATINGS, users, items) });
  const keysAt = (list: { feature: Int32Array }) => [...list.feature].map((number) => features.keys[number]);
  const key = (name: string, value: string) => keysOf(name, [value])[0];
  assert.equal(keysAt(features.ofUser[1]), [
    key("user", "20"),
    key("age", "50"),
    key("gender", "F"),
    key("occupation", "other"),
  ]);
  assert.equal(keysAt(features.ofItem[0]), [
    key("item", "1"),
    key("genre", "Animation"),
    key("genre", "Comedy"),
  ]);
  assert.equal([...features.ofItem[0].x], [1, Math.fround(Math.SQRT1_2), Math.fround(Math.SQRT1_2)]);
  assert.is(features.keys.length, new Set(features.keys).size);
  assert.is(features.keys.length, 2 * 4 + 2 + 3);
});

test("age groups begin at their youngest age", () => {
  const ages = [0, 17, 18, 24, 25, 34, 35, 44, 45, 49, 50, 55, 56, 99];
  assert.equal(ages.map(ageGroup).join(" "), "0 0 18 18 25 25 35 35 45 45 50 50 56 56");
});

test("generated data have the schema, are a function of the seed, and nobody rates twice", () => {
  const size = { users: 40, items: 60, ratings: 1200 };
  const data = generateData(7, size);
  assert.equal([data.users.length, data.items.length, data.ratings.stars.length], [40, 60, 1200]);
  assert.ok(data.ratings.stars.every((stars) => Number.isInteger(stars) && stars >= 1 && stars <= 5));
  assert.is(new Set(data.ratings.stars).size, 5);
  assert.is(new Set(data.ratings.user.map((u, r) => u * 60 + data.ratings.item[r])).size, 1200);
  assert.ok(
    data.items.every(({ genres }) => genres.length > 0 && genres.every((genre) => GENRES.includes(genre))),
  );
  assert.equal(generateData(7, size), data);
  assert.not.equal(generateData(8, size).ratings.stars, data.ratings.stars);
});

test.run();
