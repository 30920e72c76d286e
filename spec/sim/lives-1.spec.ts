import { test } from "uvu";
import { tellLives } from "./lives.js";

tellLives(1);

test.run();
