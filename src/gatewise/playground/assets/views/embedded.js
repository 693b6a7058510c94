/** In a frame, such as a learning platform's, the page tells the page around it its height. */

const QUIET = 100; // milliseconds without a change
const PREFIX = "[iFrameSizer]"; // of iframe-resizer's messages, of which the first tells the frame its name

/** Tell a page that embeds this one its height, whenever it changes: nothing else, and nobody else. */
export function tellHeight() {
  const {parent} = window;
  if (parent === window || window.name === "notebook") return; // a notebook has a frame of one height
  const {documentElement: root, body} = document;
  root.classList.add("embedded");
  let timer = 0,
    toldHeight = 0,
    name = "";
  function tell(kind = "size") {
    const height = Math.ceil(body.getBoundingClientRect().height);
    if (height === toldHeight) return;
    toldHeight = height;
    const message = {subject: "lti.frameResize", height};
    parent.postMessage(message, "*");
    parent.postMessage(JSON.stringify(message), "*"); // some platforms read nothing but text
    parent.postMessage(`${PREFIX}${name}:${height}:${root.clientWidth}:${kind}`, "*");
  }
  const observer = new ResizeObserver(() => {
    clearTimeout(timer);
    timer = setTimeout(tell, QUIET);
  });
  observer.observe(body);
  addEventListener("message", ({source, data}) => {
    if (source !== parent || typeof data !== "string" || !data.startsWith(PREFIX)) return;
    [name] = data.slice(PREFIX.length).split(":");
    toldHeight = 0;
    tell("init");
  });
}
