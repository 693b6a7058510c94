/** The scenes of a teaching page: their documents, and the buttons that choose one. */
import {beginning, chaptersOf} from "./chapter_start.js";
import {button, el} from "./dom.js";
import {pagePhrase} from "./phrases.js";

/** Whole documents of the scenes, each with what all of them share. @param {TeachingDocument} doc
 * @returns {SceneDocument[]} */
export function scenesOf({scenes, ...first}) {
  const columns = Object.entries(scenes);
  return scenes.scene.map((_, n) => ({
    ...first,
    ...Object.fromEntries(columns.map(([key, column]) => [key, column[n]])),
  }));
}

/** A scene as it opens: at its first chapter; the first scene untouched. @param {Opening} page @param {string} scene */
function atFirst(page, scene) {
  const chapter = chaptersOf(page).findIndex(one => one.scene === scene);
  return chapter > 0 ? beginning(page, chapter) : {};
}

/** Buttons beside the title, which stay from scene to scene. @param {Lesson} lesson */
export function sceneButtons({scenes, enter}) {
  const buttons = scenes.map(({scene, title}) =>
    button(() => isChosen(scene) || enter(scene, opening => atFirst(opening, scene)), {}, title),
  );
  /** @type {string | null} */
  let chosen = null;
  const isChosen = (/** @type {string | null} */ scene) => chosen === (scene ?? scenes[0].scene);
  return {
    element: el(
      "div",
      {
        class: "group scenes",
        role: "group",
        "aria-label": pagePhrase({doc: scenes[0]}, "scenes.choose"),
        hidden: scenes.length === 1,
      },
      ...buttons,
    ),
    isChosen,
    /** @param {string | null} scene null for none of them */
    choose(scene) {
      chosen = scene;
      buttons.forEach((chooser, n) => chooser.setAttribute("aria-pressed", String(isChosen(scenes[n].scene))));
    },
  };
}
