/** The page of a model begins here. */
import {begin, open, VIEWS} from "./views/begin.js";

await open(doc => begin(doc, VIEWS));
