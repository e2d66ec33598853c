// The controls, the keys, light and dark, and the first picture.
function buildPickers() {
  const subjects = [...new Set(data.places.map((p) => p.subject))];
  const seeds = (subject) => data.places.filter((p) => p.subject === subject).map((p) => p.seed);
  const subject = $("#subject"), seed = $("#seed");
  subject.replaceChildren(...subjects.map((name) => el("option", { value: name }, name)));
  const fill = () => seed.replaceChildren(...seeds(subject.value).map((n) => el("option", { value: n }, `seed ${n}`)));
  const choose = () => {
    state.place = data.places.findIndex((p) => p.subject === subject.value && String(p.seed) === seed.value);
    changed("place");
  };
  fill();
  subject.parentNode.hidden = subjects.length < 2;
  seed.parentNode.hidden = data.places.every((p) => p.seed === data.places[0].seed);
  subject.addEventListener("change", () => { fill(); choose(); });
  seed.addEventListener("change", choose);
  $("#chips").replaceChildren(...data.variants.map((variant) => {
    const box = el("input", { type: "checkbox", checked: !state.hidden.has(variant.name), onchange: () => {
      if (box.checked) state.hidden.delete(variant.name); else state.hidden.add(variant.name);
      changed("variants");
    } });
    return el("label", { class: `chip ${colourClass(variant)}` }, box, el("i", {}), variant.label);
  }));
}

function tellFrame() {
  const { fps, first, count } = place();
  $("#slider").max = Math.max(0, count - 1);
  $("#slider").value = state.frame;
  $("#readout").textContent = `frame ${state.frame} of ${count} · ${(state.frame / fps).toFixed(2)} s`
    + (first ? ` · ${first + state.frame} in the subject` : "");
}

listeners.push((what) => {
  if (what === "place") { openPlace(); buildCurves(); buildWorstMeasures(); tellFrame(); }
  if (what === "variants") { repaint(); buildCurves(); buildWorst(); }
  if (what === "frame") { moveCursors(); tellFrame(); }
  if (what === "playing") {
    $("#play").textContent = stage.playing ? "❚❚" : "▶";
    $("#play").setAttribute("aria-label", stage.playing ? "pause" : "play");
  }
});

const root = document.documentElement;
const dark = () => getComputedStyle(root).colorScheme === "dark"
  || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
const turnTheme = () => { root.dataset.theme = dark() ? "light" : "dark"; };
const toggle = (id) => { $(id).checked = !$(id).checked; $(id).dispatchEvent(new Event("change")); };
const actions = {
  " ": () => (stage.playing ? pause() : play()),
  ArrowRight: (event) => seek(state.frame + (event.shiftKey ? 10 : 1)),
  ArrowLeft: (event) => seek(state.frame - (event.shiftKey ? 10 : 1)),
  Home: () => seek(0),
  End: () => seek(place().count - 1),
  d: () => toggle("#heat"),
  m: () => toggle("#sound"),
  t: turnTheme,
  "?": () => $("#help").showModal(),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("select, textarea, input:not([type=checkbox])");
  const pressing = event.key === " " && event.target.closest("button, summary, a, input");
  if (event.ctrlKey || event.metaKey || event.altKey || typing || pressing || $("#help").open) return;
  const framed = data.places.length > 0 || event.key === "t" || event.key === "?";
  if (!(event.key in actions) || !framed) return;
  event.preventDefault();
  actions[event.key](event);
});

$("#theme").addEventListener("click", turnTheme);
$("#open-help").addEventListener("click", actions["?"]);
addEventListener("beforeprint", () => $$("details").forEach((part) => { part.open = true; }));

if (data.places.length) {
  buildPickers();
  $("#play").addEventListener("click", actions[" "]);
  $("#back").addEventListener("click", () => seek(state.frame - 1));
  $("#on").addEventListener("click", () => seek(state.frame + 1));
  $("#slider").addEventListener("input", (event) => seek(Number(event.target.value)));
  $("#speed").addEventListener("change", (event) => { if (stage.film) stage.film.video.playbackRate = Number(event.target.value); });
  $("#sound").addEventListener("change", (event) => { if (stage.film) stage.film.video.muted = !event.target.checked; });
  $("#heat").addEventListener("change", (event) => { stage.heat = event.target.checked; repaint(); });
  $("#gain").addEventListener("change", (event) => { stage.gain = Number(event.target.value); repaint(); });
  $("#worst-measure").addEventListener("change", buildWorst);
  // A stage that leaves room for the curves stays in view; what is scrolled to must not end up under it.
  new ResizeObserver(([{ target }]) => {
    target.classList.toggle("stays", target.offsetHeight < 0.68 * innerHeight);
    root.style.setProperty("--stage", `${target.offsetHeight}px`);
  }).observe($("#stage"));
  changed("place");
}
