/** Options of a table or tensor as JSON: a seed, which may be beyond 2^53, is a decimal string. */
export function optionsJson(options: object): string {
  return JSON.stringify(options, (_, value) => (typeof value === "bigint" ? value.toString() : value));
}
