/** What the addresses of nodes begin with. */
export const ADDRESS_SCHEME = "ember://";

/** Whether a text is an address of nodes, and not the path of a directory. */
export function isAddress(text: string): boolean {
  return text.startsWith(ADDRESS_SCHEME);
}
