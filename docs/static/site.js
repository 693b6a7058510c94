// A page of gatewise in a frame tells its height, and the frame becomes as high.
addEventListener("message", ({data, source}) => {
  if (data?.subject !== "lti.frameResize") return;
  for (const frame of document.querySelectorAll("iframe.made")) {
    if (frame.contentWindow === source) frame.height = data.height;
  }
});

// What opens a part of the theme's table of contents has an icon alone.
for (const toggle of document.querySelectorAll("summary:has(> .toctree-toggle)")) {
  toggle.setAttribute("aria-label", "pages of this part");
}
