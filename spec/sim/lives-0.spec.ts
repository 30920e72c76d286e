import { test } from "uvu";
import { tellLives } from "./lives.js";

tellLives(0);

test.run();
