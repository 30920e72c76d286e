#!/usr/bin/env node
import { outputOf } from "./output.js";
import { runProgram } from "./program.js";

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // Who reads our output has had enough (`| head`): no failure, and nobody is left to tell.
    if (error.code === "EPIPE") process.exit();
    throw error;
  });
}

process.exitCode = await runProgram(
  process.argv.slice(2),
  outputOf(process.stdout, process.stderr, process.env),
  process.env,
);
