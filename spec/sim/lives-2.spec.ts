import { test } from "uvu";
import { tellLives } from "./lives.js";

tellLives(2);

test.run();
