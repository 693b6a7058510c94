/** The page of a model begins here. */
import {begin, open, VIEWS} from "./views/begin.js";
import {tourView} from "./views/tour.js";

await open(doc => begin(doc, [...VIEWS, ["margin", tourView]]));
