import { test } from "uvu";
import { tellLives } from "./lives.js";

tellLives(5);

test.run();
