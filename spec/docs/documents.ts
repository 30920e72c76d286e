// The project's documents, as data: what they show as code, what they link to, what they name.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/**
 * A fenced block. Its info string is a language and words for the tests: `ts run` is compiled and run, `ts` compiled;
 * `sh` is run line by line, unless `skip: reason` says why it cannot be.
 */
export interface Fence {
  readonly language: string;
  readonly words: string;
  readonly text: string;
  /** The number of its first line, from 1. */
  readonly line: number;
}

export interface Document {
  /** Relative to the root, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly fences: readonly Fence[];
  /** The text without fences, indented code and code spans: where links are. */
  readonly prose: string;
}

/** README, CHANGELOG, UPGRADING, everything in docs/, and the READMEs of examples. */
export function readDocuments(): Document[] {
  const docs = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" }).map(
    (name) => `docs/${name}`,
  );
  const examples = readdirSync(join(ROOT, "examples"), { recursive: true, encoding: "utf8" }).map(
    (name) => `examples/${name}`,
  );
  return ["README.md", "CHANGELOG.md", "UPGRADING.md", ...docs, ...examples]
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => path.endsWith(".md"))
    .sort()
    .map(readDocument);
}

function readDocument(path: string): Document {
  const text = readFileSync(join(ROOT, path), "utf8");
  const fences: Fence[] = [];
  const prose: string[] = [];
  let open: { info: string; lines: string[]; line: number } | undefined;
  for (const [i, line] of text.split("\n").entries()) {
    const mark = /^```(.*)$/.exec(line);
    if (mark && open) {
      const [, language, words] = /^(\S*)\s*(.*)$/.exec(open.info)!;
      fences.push({ language, words, text: `${open.lines.join("\n")}\n`, line: open.line });
      open = undefined;
    } else if (mark) open = { info: mark[1].trim(), lines: [], line: i + 2 };
    else if (open) open.lines.push(line);
    else if (!line.startsWith("    ")) prose.push(line);
  }
  if (open) throw new Error(`${path}: the fence before line ${open.line} does not end`);
  return { path, text, fences, prose: prose.join("\n").replace(/`[^`\n]*`/g, "``") };
}

/** The commands of a `sh` fence, one a line, comments taken off. */
export function commandsOf({ text }: Fence): string[] {
  return text
    .split("\n")
    .map((line) => line.replace(/(^|\s+)#.*$/, "").trim())
    .filter((line) => line !== "");
}

/** What a heading is linked by, as GitHub makes it. */
export function anchorsOf({ text }: Document): Set<string> {
  const headings = text.match(/^#+ .*$/gm) ?? [];
  return new Set(
    headings.map((heading) =>
      heading
        .replace(/^#+ /, "")
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}
