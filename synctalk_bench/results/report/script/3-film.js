// One film holds all pictures of a place, and each of its frames its own number: see report/film.py.
class Film {
  constructor(info) {
    this.info = info;
    this.video = el("video", { class: "source", playsinline: true, preload: "auto", "aria-hidden": "true", tabindex: "-1" });
    this.canvas = document.createElement("canvas");
    [this.canvas.width, this.canvas.height] = info.size;
    this.pixels = this.canvas.getContext("2d", { willReadFrequently: true });
    this.ready = new Promise((resolve, reject) => {
      this.video.addEventListener("loadeddata", resolve, { once: true });
      this.video.addEventListener("error", () => reject(new Error("this browser cannot play H.264")), { once: true });
    });
    const text = $(`#film-${info.film}`).textContent;
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    this.address = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
    this.video.src = this.address;
    document.body.append(this.video);
  }

  close() {
    this.video.pause();
    this.video.remove();
    URL.revokeObjectURL(this.address);
  }

  // Take the frame that the video shows now, and return its number.
  take() {
    this.pixels.drawImage(this.video, 0, 0);
    const { bits, square } = data.code;
    const row = this.pixels.getImageData(0, this.info.codeTop + square / 2, bits * square, 1).data;
    let found = 0;
    for (let bit = 0; bit < bits; bit += 1) {
      if (row[(bit * square + square / 2) * 4] > 127) found |= 1 << bit;
    }
    return found;
  }

  // Show frame `k`, and return the number of what is shown: equal unless another seek came in between.
  async seek(k) {
    let at = (k + 0.5) / this.info.fps;
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const arrived = new Promise((resolve) => this.video.addEventListener("seeked", resolve, { once: true }));
      this.video.currentTime = at;
      await arrived;
      const found = this.take();
      if (found === k) return found;
      at += (k - found) / this.info.fps; // a browser that counts from another frame
    }
    return this.take();
  }

  tile(number) {
    const { x, y } = this.info.tiles[number];
    return this.pixels.getImageData(x, y, ...this.info.picture);
  }
}
