/** A teaching page begins here: its scenes, of which one is drawn, and the chapters over all of them. */
import {begin, landmark, open, VIEWS} from "./views/begin.js";
import {atChapter, isOfAnyText} from "./views/chapter_start.js";
import {chaptersView} from "./views/chapters.js";
import {addressed} from "./views/hash.js";
import {ownFileView} from "./views/own_file.js";
import {paperView} from "./views/paper.js";
import {readerView, readingDocument} from "./views/reader.js";
import {sceneButtons, scenesOf} from "./views/scenes.js";
import {tourView} from "./views/tour.js";
import {trainingView} from "./views/training.js";

/**
 * What a scene shows beside the strip, besides the views of every page. It is drawn last; if it is the element that was
 * there before, it stays, with its focus.
 * @type {Record<string, (page: Page) => Element>}
 */
const SCENE_VIEWS = {reader: readerView, learner: trainingView};

/** @param {Page} page */
function sceneView(page) {
  const place = landmark("scene");
  const element = SCENE_VIEWS[page.doc.scene ?? ""]?.(page) ?? null;
  if (element !== place.firstElementChild) place.replaceChildren(...(element ? [element] : []));
  place.hidden = element === null;
  return null;
}

const TEACHING_VIEWS = [
  ...VIEWS,
  .../** @type {import("./views/begin.js").PlacedViews} */ ([
    ["margin", chaptersView],
    ["scene", sceneView],
    ["head", ownFileView],
    ["main", paperView],
  ]),
];

/** Of a model that a reader dropped on the page: a tour instead of the chapters. */
const DROPPED_VIEWS = [
  ...TEACHING_VIEWS.filter(([, view]) => view !== chaptersView && view !== paperView),
  .../** @type {import("./views/begin.js").PlacedViews} */ ([["margin", tourView]]),
];

await open(document => {
  const scenes = scenesOf(/** @type {TeachingDocument} */ (/** @type {unknown} */ (document)));
  let close = () => {};
  let isReading = false;
  let isDropped = false;
  /** @type {Lesson} */
  const lesson = {
    scenes,
    progress: "",
    atChapter,
    enter(scene, part = null, doc = scenes.find(one => one.scene === scene) ?? scenes[0]) {
      close();
      isReading = Boolean(doc.reads);
      isDropped = doc.file !== undefined;
      buttons.choose(isDropped ? null : doc.scene);
      const {chapter, text} = addressed(location.hash);
      const isRead = part === null && (chapter === null || isOfAnyText({doc}, chapter));
      const drawn = isRead ? readingDocument(doc, text) : doc;
      close = begin(drawn, isDropped ? DROPPED_VIEWS : TEACHING_VIEWS, lesson, part);
    },
  };
  const buttons = sceneButtons(lesson);
  landmark("head").append(buttons.element);
  const enterAddressed = () => lesson.enter(addressed(location.hash).scene ?? scenes[0].scene);
  addEventListener("popstate", () => {
    const {scene, chapter} = addressed(location.hash);
    const isOther = isDropped ? scene || chapter !== null : isReading || !buttons.isChosen(scene); // or of another text
    if (location.hash !== "#main" && isOther) enterAddressed();
  });
  enterAddressed();
});
