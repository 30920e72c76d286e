// What the documents show is run: each command, each program.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { commandsOf, type Document, type Fence, ROOT, readDocuments } from "./documents.js";
import { Workshop } from "./workshop.js";

const test = suite<{ workshop: Workshop }>("the documents' commands and programs");
test.before.each((context) => {
  context.workshop = new Workshop();
});
test.after.each(({ workshop }) => workshop.close());

const documents = readDocuments();

/** Documents whose commands are shown indented, which nothing runs, and what does instead. */
const unfenced = new Set(["docs/benchmarks.md"]); // spec/bench runs the bench, tiny

for (const document of documents) {
  const fences = document.fences.filter(
    ({ language, words }) => language === "sh" && !words.startsWith("skip:"),
  );
  if (fences.length === 0) continue;
  test(`${document.path}: its commands work`, async ({ workshop }) => {
    for (const fence of fences) {
      for (const command of commandsOf(fence)) {
        const { code, output } = await workshop.run(command);
        assert.is(code, 0, `${document.path}, line ${fence.line}: ${command}\n${output}`);
      }
    }
  });
}

test("every program compiles against the package's types, and those marked `run` run", async ({
  workshop,
}) => {
  const programs = documents.flatMap((document) =>
    document.fences.filter(({ language }) => language === "ts").map((fence) => ({ document, fence })),
  );
  assert.ok(programs.length > 0);
  for (const { document, fence } of programs)
    write(workshop, `${nameOf(document, fence)}.ts`, "\n".repeat(fence.line - 1) + fence.text);
  write(workshop, "package.json", `{ "type": "module" }`);
  write(workshop, "tsconfig.json", JSON.stringify(compilation));
  const compiled = await workshop.run(
    `"${process.execPath}" "${join(ROOT, "node_modules", "typescript", "bin", "tsc")}" -p .`,
  );
  assert.is(compiled.code, 0, compiled.output);
  for (const { document, fence } of programs) {
    if (fence.words !== "run") continue;
    const place = join(workshop.directory, "places", nameOf(document, fence));
    mkdirSync(place, { recursive: true });
    const failure = await workshop.runModule(
      join(workshop.directory, "out", `${nameOf(document, fence)}.js`),
      place,
    );
    assert.is(
      failure,
      undefined,
      `${document.path}, line ${fence.line}\n${(failure as Error)?.stack ?? failure}`,
    );
  }
});

const compilation = {
  compilerOptions: {
    target: "es2022",
    lib: ["es2023", "esnext.disposable"],
    module: "nodenext",
    strict: true,
    skipLibCheck: true,
    types: ["node"],
    typeRoots: [join(ROOT, "node_modules", "@types")],
    rootDir: ".",
    outDir: "out",
  },
  include: ["*.ts"],
};

function nameOf({ path }: Document, { line }: Fence): string {
  return `${path.replaceAll("/", "-")}-${line}`;
}

function write({ directory }: Workshop, name: string, text: string): void {
  const path = join(directory, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

test("every fence says its language, and every word behind it is one that these tests know", () => {
  for (const { path, fences } of documents) {
    for (const { language, words, line } of fences) {
      const known = { sh: /^(skip: \S.*)?$/, ts: /^(run)?$/ }[language] ?? /^$/;
      assert.ok(
        language !== "" && known.test(words),
        `${path}, line ${line - 1}: found \`${language} ${words}\``,
      );
    }
  }
});

test("no command hides in indented text", () => {
  for (const { path, text } of documents) {
    if (unfenced.has(path)) continue;
    const hidden = text.match(/^ {4}(npm|npx|embershard|node|python3?|pip|git) .*$/m);
    assert.is(hidden, null, `${path}: ${hidden?.[0]}`);
  }
});

test.run();
