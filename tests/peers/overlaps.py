"""Text of a page that lies on other text: an expression of JavaScript."""

OVERLAPPING = """(() => {
  const isCovered = one => [...ancestors(one)].some(({position}) => position === 'sticky' || position === 'fixed');
  function* ancestors(one) {
    for (let at = one; at && at !== document.body; at = at.parentElement) yield getComputedStyle(at);
  }
  const isHidden = one => [...ancestors(one)].some(({clipPath}) => clipPath === 'inset(50%)');
  const clipped = (box, one) => {
    let [left, right] = [box.left + 1, box.right - 1];
    let [top, bottom] = [box.top + box.height / 5, box.bottom - box.height / 5];
    for (let at = one; at && at !== document.body; at = at.parentElement) {
      const {overflowX, overflowY} = getComputedStyle(at), around = at.getBoundingClientRect();
      if (overflowX !== 'visible') [left, right] = [Math.max(left, around.left), Math.min(right, around.right)];
      if (overflowY !== 'visible') [top, bottom] = [Math.max(top, around.top), Math.min(bottom, around.bottom)];
    }
    return {left, right, top, bottom};
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), texts = [];
  while (walker.nextNode()) {
    const {currentNode: node} = walker, one = node.parentElement;
    if (!node.data.trim() || !one.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    if (one.closest('script, style, option') || isHidden(one) || isCovered(one)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const whole = one.closest('math') ?? one.closest('text') ?? node;
    for (const rect of range.getClientRects()) {
      const box = clipped(rect, one);
      const text = node.data.trim().slice(0, 40);
      if (box.right > box.left && box.bottom > box.top) texts.push({whole, text, ...box});
    }
  }
  texts.sort((a, b) => a.top - b.top);
  const found = [];
  texts.forEach((a, n) => {
    for (let m = n + 1; m < texts.length && texts[m].top < a.bottom; m += 1) {
      const b = texts[m];
      if (a.whole !== b.whole && a.left < b.right && b.left < a.right) found.push([a.text, b.text]);
    }
  });
  return [texts.length, found];
})()"""
