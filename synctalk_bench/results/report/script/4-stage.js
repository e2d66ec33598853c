// The pictures side by side, their differences, and what moves them.
const ANCHORS = ["000004", "160b39", "420a68", "6a176e", "932667", "bc3754", "dd513a", "f37819", "fca50a", "f6d746", "fcffa4"];
const HEAT = Array.from({ length: 256 }, (_, level) => {
  const at = (level / 255) * (ANCHORS.length - 1);
  const low = Math.min(Math.floor(at), ANCHORS.length - 2);
  const part = (hex, k) => parseInt(hex.slice(2 * k, 2 * k + 2), 16);
  return [0, 1, 2].map((k) => part(ANCHORS[low], k) + (at - low) * (part(ANCHORS[low + 1], k) - part(ANCHORS[low], k)));
});

const stage = { film: null, gain: 4, heat: true, playing: false, busy: false };
const variantOf = (name) => data.variants.find((variant) => variant.name === name);

function buildTiles() {
  const box = $("#pictures");
  box.replaceChildren();
  if (place().film === null) return;
  place().tiles.forEach((tile, index) => {
    if (tile.variant !== null && state.hidden.has(tile.variant)) return;
    const [width, height] = place().picture;
    const canvas = (kind) => el("canvas", { width, height, class: kind, "data-tile": index, role: "img",
      "aria-label": kind === "picture" ? tile.label : `difference of ${tile.label} from the truth` });
    const pair = [canvas("picture")];
    if (tile.variant === null) pair.push(el("div", { class: "heat legend" }, legend()));
    else if (tile.truth !== null) pair.push(canvas("heat"));
    else pair.push(el("div", { class: "heat legend" }, "no truth to compare with"));
    const name = el("figcaption", { class: tile.variant === null ? "truth" : colourClass(variantOf(tile.variant)) }, tile.label);
    box.append(el("figure", { class: "tile" }, name, ...pair));
  });
  box.style.setProperty("--count", box.children.length);
  box.classList.toggle("no-heat", !stage.heat);
}

function legend() {
  const stops = ANCHORS.map((hex) => `#${hex}`).join(",");
  const bar = el("div", { class: "scale", "aria-hidden": "true" });
  bar.style.background = `linear-gradient(90deg,${stops})`;
  const most = Math.round(255 / stage.gain);
  return el("div", {}, el("strong", {}, "difference from the truth"), bar,
    el("span", {}, el("i", {}, "0"), el("i", {}, `${most}+ of 255`)),
    el("small", {}, "mean of red, green and blue, of the pictures as compressed for this page"));
}

function paint(shown) {
  for (const canvas of $$("#pictures canvas")) {
    const tile = place().tiles[canvas.dataset.tile];
    const picture = stage.film.tile(Number(canvas.dataset.tile));
    if (canvas.classList.contains("heat")) {
      if (!stage.heat) continue;
      const truth = stage.film.tile(tile.truth).data;
      const own = picture.data;
      for (let i = 0; i < own.length; i += 4) {
        const off = Math.abs(own[i] - truth[i]) + Math.abs(own[i + 1] - truth[i + 1]) + Math.abs(own[i + 2] - truth[i + 2]);
        const colour = HEAT[Math.min(255, Math.round((off / 3) * stage.gain))];
        [own[i], own[i + 1], own[i + 2]] = colour;
      }
    }
    canvas.getContext("2d").putImageData(picture, 0, 0);
    canvas.dataset.frame = shown;
  }
  state.shown = shown;
  document.documentElement.dataset.frame = shown;
}

// Only the last frame that was asked for is worth showing; those in between are passed over.
async function follow() {
  if (stage.busy || !stage.film) return;
  stage.busy = true;
  const film = stage.film;
  try {
    await film.ready;
    while (film === stage.film && !stage.playing && state.shown !== state.frame) {
      const wanted = state.frame;
      const found = await film.seek(wanted);
      if (film !== stage.film) break;
      paint(found);
      if (found !== wanted && state.frame === wanted) break; // the film has no such frame
    }
  } catch (error) {
    $("#no-film").textContent = `No pictures: ${error.message}.`;
  }
  stage.busy = false;
  if (film !== stage.film) follow();
}

function seek(frame) {
  pause();
  state.frame = Math.max(0, Math.min(place().count - 1, Math.round(frame)));
  changed("frame");
  follow();
}

function play() {
  if (!stage.film || stage.playing) return;
  stage.playing = true;
  const { film } = stage;
  if (state.frame >= place().count - 1) film.video.currentTime = 0;
  film.video.playbackRate = Number($("#speed").value);
  film.video.play().catch(pause);
  const tick = () => {
    if (!stage.playing || film !== stage.film) return;
    const found = film.take();
    if (found !== state.shown) {
      paint(found);
      state.frame = found;
      changed("frame");
    }
    if (film.video.ended) pause();
    else requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
  changed("playing");
}

function pause() {
  if (!stage.playing) return;
  stage.playing = false;
  stage.film.video.pause();
  state.frame = state.shown;
  changed("playing");
}

function openPlace() {
  pause();
  if (stage.film) stage.film.close();
  stage.film = place().film === null ? null : new Film(place());
  if (stage.film) stage.film.video.muted = !$("#sound").checked;
  state.shown = -1;
  state.frame = Math.min(state.frame, Math.max(0, place().count - 1));
  delete document.documentElement.dataset.frame;
  buildTiles();
  const missing = [...place().missing, ...(data.video ? [] : ["this page was made without films (--no-video)"])];
  $("#no-film").textContent = stage.film ? missing.join("; ") : `No pictures: ${missing.join("; ")}.`;
  $("#stage").classList.toggle("empty", !stage.film);
  follow();
}

function repaint() {
  buildTiles();
  if (stage.film && state.shown >= 0) paint(state.shown);
}
