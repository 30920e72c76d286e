import { test } from "uvu";
import { tellLives } from "./lives.js";

tellLives(6);

test.run();
