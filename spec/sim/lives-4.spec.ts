import { test } from "uvu";
import { tellLives } from "./lives.js";

tellLives(4);

test.run();
