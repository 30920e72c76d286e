#!/usr/bin/env node
import { outputOf } from "./output.js";
import { runProgram } from "./program.js";

/** A node works for others, whoever reads what it logs. */
const serves = process.argv[2] === "serve";

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    // Who reads our output has had enough (`| head`): no failure, and nobody is left to tell.
    if (!serves) process.exit();
  });
}

process.exitCode = await runProgram(
  process.argv.slice(2),
  outputOf(process.stdout, process.stderr, process.env),
  process.env,
);
