// Small helpers; every text that comes from a user goes in as text, never as HTML.
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

function el(tag, attributes = {}, ...children) {
  const made = document.createElementNS(
    SVG_TAGS.has(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}
const SVG_TAGS = new Set(["svg", "path", "line", "text", "circle", "rect", "g"]);

const data = JSON.parse($("#data").textContent);
const colourClass = (variant) => (variant.control ? "control" : `c${variant.colour % 8}`);
const number = (value, digits) => (value === null || value === undefined ? "—" : value.toFixed(digits));

// What is looked at. `frame` is wanted, `shown` is what the pictures hold.
const state = { place: 0, frame: 0, shown: -1, hidden: new Set(data.variants.filter((v) => v.control).map((v) => v.name)) };
const place = () => data.places[state.place];
const listeners = [];
const changed = (what) => listeners.forEach((listen) => listen(what));
