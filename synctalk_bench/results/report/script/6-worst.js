// The frames that a metric calls worst, of each variant; a click shows them on the stage.
function buildWorst() {
  const box = $("#worst-frames");
  box.replaceChildren();
  const measure = data.measures.find((m) => m.id === $("#worst-measure").value);
  const by = measure ? place().worst[measure.id] || {} : {};
  for (const [name, frames] of Object.entries(by)) {
    if (state.hidden.has(name)) continue;
    const variant = variantOf(name);
    const own = place().tiles.findIndex((tile) => tile.variant === name);
    const buttons = frames.map((frame) => {
      const value = number(place().curves[measure.id][name][frame], measure.digits);
      const truth = own < 0 ? null : place().tiles[own].truth;
      const pictures = [truth, own].map((tile) => data.thumbs[`${state.place}/${tile}/${frame}`]).filter(Boolean);
      return el("button", { type: "button", class: "worst", "data-frame": frame,
        "aria-label": `frame ${frame} of ${variant.label}: ${measure.head} ${value}`,
        onclick: () => { seek(frame); $("#frames").scrollIntoView({ block: "start" }); } },
        el("span", { class: "pair" }, ...pictures.map((src) => el("img", { src, alt: "" }))),
        el("span", {}, `frame ${frame}`, el("b", {}, value)));
    });
    box.append(el("div", { class: "worst-row" }, el("h4", { class: colourClass(variant) }, el("i", {}), variant.label),
      el("div", { class: "worst-list" }, ...buttons)));
  }
  if (!box.children.length) box.append(el("p", { class: "none" }, "No method shown has values for every frame of this metric here."));
  else if (place().film === null && !Object.keys(data.thumbs).length) box.prepend(el("p", { class: "none" }, "The frames themselves are not here."));
}

function buildWorstMeasures() {
  const select = $("#worst-measure");
  const before = select.value;
  const there = data.measures.filter((m) => m.id in place().worst);
  select.replaceChildren(...there.map((m) => el("option", { value: m.id }, m.head)));
  if (there.some((m) => m.id === before)) select.value = before;
  buildWorst();
}
