import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { kernelWasm } from "../lib/kernel/generated/kernel-wasm.js";

const root = fileURLToPath(new URL("../../", import.meta.url));

test("the modules are what their sources generate", async () => {
  process.chdir(root);
  const script: { readonly modules: readonly object[]; generateModule(module: object): Promise<string> } =
    await import(new URL("../../scripts/build-kernel.js", import.meta.url).href);
  const sources = script.modules.map((module) => (module as { readonly source: string }).source);
  assert.equal(sources, ["kernel", "checksums"]);
  for (const [i, source] of sources.entries()) {
    const committed = readFileSync(`${root}lib/kernel/generated/${source}-wasm.ts`, "utf8");
    const made = await script.generateModule(script.modules[i]);
    assert.ok(made === committed, `${source} is stale: run \`npm run build:kernel\``);
  }
});

test("lib/wire/generated and spec/wire/generated are what the schema generates", async () => {
  const script: {
    generateSchema(): Promise<Map<string, string>>;
    staleFiles(files: Map<string, string>): string[];
  } = await import(new URL("../../scripts/build-schema.js", import.meta.url).href);
  const files = await script.generateSchema();
  assert.equal(script.staleFiles(files), [], "they are stale: run `npm run build:schema`");
  files.set("lib/wire/generated/frame-types.ts", "another text");
  files.delete("spec/wire/generated/frame.ts");
  assert.equal(script.staleFiles(files), [
    "lib/wire/generated/frame-types.ts",
    "spec/wire/generated/frame.ts",
  ]);
});

test("the kernel has no relaxed SIMD instruction: their results differ between machines", () => {
  const module = Buffer.from(kernelWasm, "base64");
  const simd = simdOpcodes(module);
  assert.ok(simd.size > 10, "the kernel uses SIMD at all");
  assert.equal(
    [...simd].filter((opcode) => opcode >= 0x100),
    [],
  );
});

test("a relaxed instruction would be seen", () => {
  // (module (func (result v128) v128.const 0 v128.const 0 v128.const 0 f32x4.relaxed_madd))
  const zero = [0xfd, 0x0c, ...new Array(16).fill(0)];
  const body = [0x00, ...zero, ...zero, ...zero, 0xfd, 0x85, 0x02, 0x0b];
  const code = [0x01, body.length, ...body];
  const module = [
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    1,
    5,
    1,
    0x60,
    0,
    1,
    0x7b,
    3,
    2,
    1,
    0,
    10,
    code.length,
    ...code,
  ];
  assert.ok(simdOpcodes(Uint8Array.from(module)).has(0x105));
});

/** The opcodes behind the SIMD prefix in a module's code section (WebAssembly 2.0, section 5.4). */
function simdOpcodes(module: Uint8Array): Set<number> {
  const found = new Set<number>();
  let at = 8;
  const leb = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  const skip = (count: number) => {
    for (let i = 0; i < count; i++) leb();
  };
  const instruction = (opcode: number): void => {
    if (opcode === 0xfd) simd();
    else if (opcode === 0xfc) bulk();
    else ordinary(opcode);
  };
  const ordinary = (opcode: number): void => {
    if (opcode >= 0x02 && opcode <= 0x04) leb();
    else if (opcode === 0x0e) skip(leb() + 1);
    else if (opcode === 0x11) skip(2);
    else if (opcode >= 0x28 && opcode <= 0x3e) skip(2);
    else if (opcode === 0x43) at += 4;
    else if (opcode === 0x44) at += 8;
    else if (opcode === 0x1c) skip(leb());
    else if (opcode === 0x0c || opcode === 0x0d || opcode === 0x10 || (opcode >= 0x20 && opcode <= 0x26))
      leb();
    else if (opcode === 0x3f || opcode === 0x40 || opcode === 0x41 || opcode === 0x42) leb();
    else if (!isPlain(opcode))
      throw new Error(`opcode 0x${opcode.toString(16)} at ${at} is not known to this spec`);
  };
  const simd = (): void => {
    const opcode = leb();
    found.add(opcode);
    if (opcode <= 0x0b || opcode === 0x5c || opcode === 0x5d) skip(2);
    else if (opcode === 0x0c || opcode === 0x0d) at += 16;
    else if (opcode >= 0x15 && opcode <= 0x22) at += 1;
    else if (opcode >= 0x54 && opcode <= 0x5b) {
      skip(2);
      at += 1;
    }
  };
  const bulk = (): void => {
    const opcode = leb();
    if (opcode === 8 || opcode === 10) skip(2);
    else if (opcode > 7) skip(1);
  };
  while (at < module.length) {
    const section = module[at++];
    const end = leb() + at;
    if (section === 10) {
      for (let functions = leb(); functions > 0; functions--) {
        const bodyEnd = leb() + at;
        for (let locals = leb(); locals > 0; locals--) {
          leb();
          at++;
        }
        while (at < bodyEnd) instruction(module[at++]);
      }
    }
    at = end;
  }
  return found;
}

/** Control and numeric instructions without immediates. */
function isPlain(opcode: number): boolean {
  return [0x00, 0x01, 0x05, 0x0b, 0x0f, 0x1a, 0x1b].includes(opcode) || (opcode >= 0x45 && opcode <= 0xc4);
}

test.run();
