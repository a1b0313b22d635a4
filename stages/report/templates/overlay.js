"use strict";
// One picture with what lies over it: heat of a word, masks, truth, points.

const LONGEST = 720; // pixels of the canvas along the picture's longer side
const LARGE = 0.5; // a mask of more of the image than this is drawn by its border while others are there

class Overlay {
  constructor(sample, run, truth) {
    this.sample = sample;
    this.run = run;
    this.truth = truth;
    const scale = LONGEST / Math.max(sample.width, sample.height);
    this.width = Math.max(1, Math.round(sample.width * scale));
    this.height = Math.max(1, Math.round(sample.height * scale));
    this.canvas = el("canvas", { width: this.width, height: this.height, role: "img" });
    this.masks = new Map();
    this.maps = run.maps ? decodeBytes(run.maps) : null;
    this.parts = run.parts ? decodeBytes(run.parts.maps) : null;
  }

  async ready() {
    if (!this.sample.picture) return this;
    const image = new Image();
    image.src = this.sample.picture;
    await image.decode();
    this.image = image;
    return this;
  }

  // what: {word: place of a map or null, part: of the map or -1, chosen: targets to show, truths, points, spans, layers, strength, smooth}
  draw(what) {
    const context = this.canvas.getContext("2d");
    context.globalAlpha = 1;
    context.clearRect(0, 0, this.width, this.height);
    context.filter = what.word !== null ? "grayscale(1) brightness(0.75)" : "none";
    context.imageSmoothingEnabled = !this.image || this.image.width >= this.width / 2;
    if (this.image) context.drawImage(this.image, 0, 0, this.width, this.height);
    context.filter = "none";
    if (what.word !== null) this.heat(context, what);
    if (what.layers.masks) for (const one of what.chosen) if (one.mask) this.mask(context, one, what.chosen.length > 1 && one.mask.area > LARGE, what.word !== null);
    if (what.layers.truth) for (const one of what.truths) this.outline(context, one);
    if (what.layers.points) for (const one of what.points) this.point(context, one);
    this.canvas.setAttribute("aria-label", what.says);
  }

  heat(context, { word, part, strength, smooth }) {
    const [rows, columns] = this.run.grid;
    const cells = rows * columns;
    const parts = this.run.parts?.names.length || 0;
    const own = part >= 0 && part < parts ? this.parts.subarray((word * parts + part) * cells) : this.maps.subarray(word * cells);
    const pixels = new ImageData(columns, rows);
    for (let i = 0; i < cells; i++) pixels.data.set(HEAT_LEVELS[own[i]], i * 4);
    const small = el("canvas", { width: columns, height: rows });
    small.getContext("2d").putImageData(pixels, 0, 0);
    context.globalAlpha = strength;
    context.imageSmoothingEnabled = smooth;
    context.imageSmoothingQuality = "high";
    context.drawImage(small, 0, 0, this.width, this.height);
    context.globalAlpha = 1;
  }

  // A mask in its colour as a picture of its own, made once.
  tinted(one, name, paint) {
    if (!this.masks.has(name)) {
      const mask = resizedMask(one.mask, this.width, this.height);
      const pixels = new ImageData(this.width, this.height);
      paint(mask, new Uint32Array(pixels.data.buffer));
      const made = el("canvas", { width: this.width, height: this.height });
      made.getContext("2d").putImageData(pixels, 0, 0);
      this.masks.set(name, made);
    }
    return this.masks.get(name);
  }

  mask(context, one, borderOnly, faint) {
    const made = this.tinted(one, `${one.kind} ${one.index} ${borderOnly} ${faint}`, (mask, out) => {
      const colour = packed(colourOf(one));
      const edge = border(mask, this.width, this.height, 2);
      for (let i = 0; i < mask.length; i++)
        if (edge[i]) out[i] = colour | 0xff000000;
        else if (mask[i] && !borderOnly && !faint) out[i] = colour | (0x58 << 24);
    });
    context.drawImage(made, 0, 0);
  }

  outline(context, one) {
    const made = this.tinted(one, `truth ${one.kind} ${one.index}`, (mask, out) => {
      const dark = border(mask, this.width, this.height, 5);
      const white = border(mask, this.width, this.height, 3);
      for (let i = 0; i < mask.length; i++)
        if (white[i]) out[i] = 0xffffffff;
        else if (dark[i]) out[i] = 0xc0000000;
    });
    context.drawImage(made, 0, 0);
  }

  // A point inside is a disc in its phrase's colour; one outside a crossed square in the colour of whose it is.
  point(context, { x, y, inside, colour, bright }) {
    const [cx, cy] = [x * this.width, y * this.height];
    const size = bright ? 13 : 8;
    context.lineWidth = 2.5;
    context.strokeStyle = inside ? "#fff" : "#000";
    context.fillStyle = colour;
    context.beginPath();
    if (inside) context.arc(cx, cy, size, 0, 2 * Math.PI);
    else context.rect(cx - size, cy - size, 2 * size, 2 * size);
    context.fill();
    context.stroke();
    if (!inside) {
      context.strokeStyle = "#fff";
      context.beginPath();
      context.moveTo(cx - size * 0.6, cy - size * 0.6);
      context.lineTo(cx + size * 0.6, cy + size * 0.6);
      context.moveTo(cx + size * 0.6, cy - size * 0.6);
      context.lineTo(cx - size * 0.6, cy + size * 0.6);
      context.stroke();
    }
  }
}

// Of phrases in turn, then of predicates.
function colourOf(target) {
  const { colours } = page.index;
  return colours[(target.place ?? target.index) % colours.length];
}

// "#rrggbb" as a canvas holds it, without opacity.
function packed(colour) {
  const value = parseInt(colour.slice(1), 16);
  return ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16);
}
