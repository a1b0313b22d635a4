"use strict";
// Masks and maps out of their compact forms.

// COCO's compressed run lengths to one byte a pixel, row by row. Runs go down the columns, outside first.
function decodeMask({ width, height, counts }) {
  const pixels = new Uint8Array(width * height);
  const runs = [];
  let at = 0;
  while (at < counts.length) {
    let value = 0;
    let shift = 0;
    let code;
    do {
      code = counts.charCodeAt(at++) - 48;
      value |= (code & 31) << shift;
      shift += 5;
    } while (code & 32);
    if (code & 16 && shift < 32) value |= -1 << shift;
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  let place = 0;
  runs.forEach((run, number) => {
    if (number % 2) {
      const end = Math.min(place + run, width * height);
      for (let i = place; i < end; i++) pixels[(i % height) * width + Math.floor(i / height)] = 1;
    }
    place += run;
  });
  return pixels;
}

// Base64 to bytes.
function decodeBytes(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

// A mask at another size, by its nearest pixels.
function resizedMask(mask, width, height) {
  const pixels = decodeMask(mask);
  if (mask.width === width && mask.height === height) return pixels;
  const found = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * mask.height) / height) * mask.width;
    for (let x = 0; x < width; x++) found[y * width + x] = pixels[row + Math.floor(((x + 0.5) * mask.width) / width)];
  }
  return found;
}

// Pixels of a mask within `thick` of its outside.
function border(mask, width, height, thick) {
  let inner = mask;
  for (let turn = 0; turn < thick; turn++) {
    const next = new Uint8Array(mask.length);
    for (let y = 1; y < height - 1; y++)
      for (let x = 1, i = y * width + 1; x < width - 1; x++, i++)
        next[i] = inner[i] & inner[i - 1] & inner[i + 1] & inner[i - width] & inner[i + width];
    inner = next;
  }
  const edge = new Uint8Array(mask.length);
  for (let i = 0; i < mask.length; i++) edge[i] = mask[i] & ~inner[i] & 1;
  return edge;
}

// Heat: dark violet, magenta, orange, pale yellow (after matplotlib's inferno).
const HEAT = [[20, 8, 60], [120, 28, 109], [237, 105, 37], [251, 180, 26], [252, 255, 190]];

// The colour of each of the 256 levels of a map, ever more opaque.
const HEAT_LEVELS = Array.from({ length: 256 }, (_, level) => {
  const at = (level / 255) * (HEAT.length - 1);
  const below = Math.min(Math.floor(at), HEAT.length - 2);
  const share = at - below;
  return [...HEAT[below].map((part, i) => Math.round(part * (1 - share) + HEAT[below + 1][i] * share)), 60 + (195 * level) / 255];
});
