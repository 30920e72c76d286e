import { test } from "uvu";
import { tellLives } from "./lives.js";

tellLives(7);

test.run();
