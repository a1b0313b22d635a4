"use strict";
// One overlay at a time is a word's map; masks, truth and points are layers that go on and off.
for (const sample of document.querySelectorAll(".sample[data-width]")) {
  const canvas = sample.querySelector("canvas");
  const pen = canvas.getContext("2d");
  const caption = sample.querySelector("figcaption");
  const words = [...sample.querySelectorAll(".word")];
  const phrases = [...sample.querySelectorAll("button.phrase")];
  const points = [...sample.querySelectorAll("svg g")];
  const layers = Object.fromEntries([...sample.querySelectorAll("[data-layer]")].map((b) => [b.dataset.layer, b]));
  const strips = {};
  const pressed = (button) => button !== undefined && button.getAttribute("aria-pressed") === "true";
  const press = (button, on) => button.setAttribute("aria-pressed", String(on));

  // A strip of overlays is loaded when first asked for, then drawn again.
  function strip(name) {
    const source = sample.dataset[name];
    if (!source) return null;
    if (!strips[name]) {
      strips[name] = new Image();
      strips[name].addEventListener("load", draw);
      strips[name].src = source;
    }
    return strips[name].complete && strips[name].naturalWidth ? strips[name] : null;
  }

  // Cut out first, then enlarged: enlarging straight from the strip would mix in the neighbouring cells.
  function cell(image, count, index) {
    const cut = document.createElement("canvas");
    cut.width = image.naturalWidth;
    cut.height = image.naturalHeight / count;
    cut.getContext("2d").drawImage(image, 0, -index * cut.height);
    pen.drawImage(cut, 0, 0, canvas.width, canvas.height);
  }

  function draw() {
    pen.clearRect(0, 0, canvas.width, canvas.height);
    const word = words.find(pressed);
    const chosen = phrases.find(pressed);
    // A predicate's mask is its subject and object together: alone on demand, else it would hide theirs.
    const shown = (button) => (chosen ? button === chosen : button.dataset.kind !== "predicate");
    sample.querySelector(".stage").classList.toggle("mapped", word !== undefined);
    if (word) {
      const image = strip("maps");
      pen.imageSmoothingEnabled = true;
      pen.imageSmoothingQuality = "high";
      if (image) cell(image, Number(sample.dataset.mapCells), Number(word.dataset.map));
    }
    for (const [layer, key] of [["masks", "mask"], ["truth", "truth"]]) {
      if (!pressed(layers[layer]) || (word && !chosen)) continue;
      const image = strip("masks");
      pen.imageSmoothingEnabled = false;
      for (const button of phrases) {
        if (image && shown(button) && button.dataset[key] !== undefined) {
          cell(image, Number(sample.dataset.cells), Number(button.dataset[key]));
        }
      }
    }
    points.forEach((group) => {
      const owner = phrases[Number(group.dataset.phrase)];
      group.classList.toggle("hidden", !pressed(layers.points) || !shown(owner));
    });
    const said = [];
    if (word) said.push(word.title);
    if (chosen) said.push(chosen.title);
    caption.textContent = said.join(" · ") || caption.dataset.rest;
  }

  const choose = (group) => (event) => {
    const on = !pressed(event.currentTarget);
    group.forEach((button) => press(button, false));
    press(event.currentTarget, on);
    draw();
  };
  words.forEach((button) => button.addEventListener("click", choose(words)));
  phrases.forEach((button) => button.addEventListener("click", choose(phrases)));
  Object.values(layers).forEach((button) => button.addEventListener("click", () => {
    press(button, !pressed(button));
    draw();
  }));
  // Left and right walk along the sentence; Escape clears.
  sample.addEventListener("keydown", (event) => {
    const at = words.indexOf(document.activeElement);
    if (at >= 0 && (event.key === "ArrowRight" || event.key === "ArrowLeft")) {
      const next = words[(at + (event.key === "ArrowRight" ? 1 : words.length - 1)) % words.length];
      next.focus();
      words.forEach((button) => press(button, button === next));
      draw();
      event.preventDefault();
    } else if (event.key === "Escape") {
      [...words, ...phrases].forEach((button) => press(button, false));
      draw();
    }
  });
  if ("IntersectionObserver" in window) {
    const watcher = new IntersectionObserver((seen) => {
      if (seen.some((one) => one.isIntersecting)) {
        watcher.disconnect();
        draw();
      }
    }, { rootMargin: "300px" });
    watcher.observe(sample);
  } else {
    draw();
  }
}
