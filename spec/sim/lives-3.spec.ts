import { test } from "uvu";
import { tellLives } from "./lives.js";

tellLives(3);

test.run();
