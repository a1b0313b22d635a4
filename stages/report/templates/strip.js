"use strict";
// A sample as a strip for a paper: image, words, masks; as PNG, or as SVG with its words as text.

const CELL = 256;
const ROOM = 34; // below each cell, for its words

// The cells: a canvas and what is written below it.
function stripCells(sample, run, overlay) {
  const plain = { word: null, step: -1, chosen: [], truths: [], points: [], layers: { masks: true, truth: false, points: true }, strength: 0.8, smooth: true, says: "" };
  const cells = [];
  const add = (what, text) => {
    overlay.draw({ ...plain, ...what });
    const copy = el("canvas", { width: overlay.width, height: overlay.height });
    copy.getContext("2d").drawImage(overlay.canvas, 0, 0);
    cells.push({ canvas: copy, text });
  };
  add({}, "image");
  const targets = (run.targets || []).filter((one) => one.kind === "phrase");
  for (const target of targets) {
    const word = (run.words || []).find((one) => one.map !== undefined && isRoot(target, one));
    if (word) add({ word: word.map }, `map of “${slicePoints(sample.text, word.start, word.end)}”`);
  }
  for (const target of targets) add({ chosen: [target], points: pointsOf(run, target) }, slicePoints(sample.text, target.start, target.end));
  if (targets.length > 1) add({ chosen: targets }, "all masks");
  return cells;
}

function stripAsSvg(sample, cells) {
  const scale = CELL / Math.max(sample.width, sample.height);
  const [width, height] = [sample.width * scale, sample.height * scale];
  const whole = cells.length * (CELL + 8) - 8;
  const picture = svg("svg", { xmlns: "http://www.w3.org/2000/svg", width: whole, height: height + ROOM + 28, viewBox: `0 0 ${whole} ${height + ROOM + 28}` });
  const text = (x, y, content, size) => svg("text", { x, y, "font-family": "Helvetica, Arial, sans-serif", "font-size": size, "text-anchor": "middle", fill: "#111" }, content);
  picture.append(svg("rect", { width: "100%", height: "100%", fill: "#fff" }));
  cells.forEach(({ canvas, text: words }, i) => {
    const x = i * (CELL + 8) + (CELL - width) / 2;
    picture.append(svg("image", { x, y: 0, width, height, href: canvas.toDataURL("image/png") }), text(i * (CELL + 8) + CELL / 2, height + 20, words, 15));
  });
  picture.append(text(whole / 2, height + ROOM + 16, sample.text, 17));
  return new XMLSerializer().serializeToString(picture);
}

async function stripAsPng(source) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(source)}`;
  await image.decode();
  const canvas = el("canvas", { width: image.width * 2, height: image.height * 2 });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

async function saveStrip(sample, run, overlay, form) {
  const source = stripAsSvg(sample, stripCells(sample, run, overlay));
  const name = sample.id.replace(/[^\w.-]+/g, "_").slice(0, 60) || "sample";
  if (form === "svg") saveAs(`${name}.svg`, source, "image/svg+xml");
  else saveAs(`${name}.png`, await stripAsPng(source), "image/png");
}
