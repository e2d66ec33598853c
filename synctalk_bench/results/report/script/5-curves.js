// One small chart a metric; a click, a drag or an arrow key on any of them moves everything.
const WIDE = 600, TALL = 132, LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 20;
const charts = [];

function buildCurves() {
  const box = $("#curves");
  box.replaceChildren();
  charts.length = 0;
  for (const measure of data.measures) {
    const lines = Object.entries(place().curves[measure.id] || {}).filter(([name]) => !state.hidden.has(name));
    if (lines.length) box.append(chart(measure, lines));
  }
  const without = data.measures.filter((m) => !m.id.startsWith("pose-") && !(m.id in place().curves)).map((m) => m.head);
  $("#no-curves").textContent = without.length
    ? `No value a frame: ${without.join(", ")} (one number a clip, not computed, or the store does not have the values).` : "";
  moveCursors();
}

function chart(measure, lines) {
  const count = place().count;
  const known = lines.flatMap(([, values]) => values.filter((value) => value !== null));
  let [low, high] = known.length ? [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))] : [0, 1];
  if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
  const across = (k) => LEFT + (k / Math.max(1, count - 1)) * (WIDE - LEFT - RIGHT);
  const up = (value) => TOP + ((high - value) / (high - low)) * (TALL - TOP - BOTTOM);
  const svg = el("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, tabindex: "0", role: "slider", class: "curve",
    "aria-label": `${measure.head} per frame: arrow keys move the frame`, "aria-valuemin": 0, "aria-valuemax": count - 1 });
  for (const value of roundNumbers(low, high, 4)) {
    svg.append(el("path", { class: "grid", d: `M${LEFT} ${up(value)}H${WIDE - RIGHT}` }),
      el("text", { x: LEFT - 6, y: up(value) + 4, "text-anchor": "end" }, String(value)));
  }
  for (const value of roundNumbers(0, count - 1, 8)) {
    svg.append(el("text", { x: across(value), y: TALL - 5, "text-anchor": "middle" }, String(value)));
  }
  for (const [name, values] of lines) {
    svg.append(el("path", { class: `line ${colourClass(variantOf(name))}`, d: path(values, across, up), "data-variant": name }));
  }
  const cursor = el("line", { class: "cursor", y1: TOP, y2: TALL - BOTTOM });
  svg.append(cursor);
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDE;
    return ((x - LEFT) / (WIDE - LEFT - RIGHT)) * Math.max(1, count - 1);
  };
  svg.addEventListener("pointerdown", (event) => { svg.setPointerCapture(event.pointerId); svg.focus({ preventScroll: true }); seek(at(event)); });
  svg.addEventListener("pointermove", (event) => { if (event.buttons & 1) seek(at(event)); });
  const readouts = lines.map(([name, values]) => {
    const variant = variantOf(name);
    const value = el("b", {});
    return { values, value, item: el("span", { class: colourClass(variant), title: variant.label }, el("i", {}), value) };
  });
  charts.push({ svg, cursor, across, readouts, measure });
  return el("figure", { class: "curve-card", "data-measure": measure.id },
    el("figcaption", {}, el("strong", {}, measure.head), el("span", { class: "readouts" }, ...readouts.map((r) => r.item))), svg);
}

function roundNumbers(low, high, count) {
  const span = Math.max(high - low, 1e-12);
  let step = 10 ** Math.floor(Math.log10(span / count));
  step *= [1, 2, 5, 10].find((factor) => span / (step * factor) <= count) || 10;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k <= high / step + 1e-9; k += 1) found.push(Number((k * step).toPrecision(12)));
  return found;
}

// Gaps stay gaps. A clip with more frames than the chart has pixels is drawn as the range of each piece.
function path(values, across, up) {
  const piece = Math.max(1, Math.ceil(values.length / WIDE));
  let text = "", pen = "M";
  for (let k = 0; k < values.length; k += piece) {
    const part = [];
    for (let j = k; j < Math.min(values.length, k + piece); j += 1) if (values[j] !== null) part.push([values[j], j]);
    if (!part.length) { pen = "M"; continue; }
    part.sort((a, b) => a[0] - b[0]);
    const ends = part.length > 1 ? [part[0], part[part.length - 1]].sort((a, b) => a[1] - b[1]) : part;
    for (const [value, j] of ends) { text += `${pen}${across(j).toFixed(1)} ${up(value).toFixed(1)}`; pen = "L"; }
  }
  return text;
}

function moveCursors() {
  for (const { svg, cursor, across, readouts, measure } of charts) {
    cursor.setAttribute("x1", across(state.frame));
    cursor.setAttribute("x2", across(state.frame));
    svg.setAttribute("aria-valuenow", state.frame);
    const said = readouts.map(({ values, value, item }) => {
      value.textContent = number(values[state.frame], measure.digits);
      return `${item.title} ${value.textContent}`;
    });
    svg.setAttribute("aria-valuetext", `frame ${state.frame}: ${said.join(", ")}`);
  }
}
