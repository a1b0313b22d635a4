"use strict";
// The sentence: its words as buttons, and its grammar as arcs.

// Pieces of the text: words, and what stands between two.
function pieces(text, words) {
  const found = [];
  const points = [...text]; // offsets count characters as Python does, not UTF-16
  let at = 0;
  const slice = (from, to) => points.slice(from, to).join("");
  words.forEach((word, number) => {
    if (word.start > at) found.push({ text: slice(at, word.start) });
    found.push({ ...word, number, text: slice(word.start, word.end) });
    at = word.end;
  });
  if (at < points.length) found.push({ text: slice(at) });
  return found;
}

const slicePoints = (text, start, end) => [...text].slice(start, end).join("");

// The phrase that a word belongs to: of nested ones the shortest.
function ownerOf(run, word) {
  const owners = (run.targets || []).filter((one) => one.kind === "phrase" && one.start <= word.start && word.end <= one.end);
  return owners.sort((a, b) => a.end - a.start - (b.end - b.start))[0] || null;
}

const isRoot = (owner, word) => owner && owner.root_start <= word.start && word.end <= owner.root_end;

// chosen: a word's number or null. choose(number): called on a click or a key.
function sentenceView(sample, run, chosen, choose) {
  const line = el("p", { className: "sentence", dir: "auto", role: "group", "aria-label": "Words: arrows move, Enter shows the map" });
  const buttons = [];
  for (const piece of pieces(sample.text, run.words || [])) {
    if (piece.number === undefined) {
      line.append(piece.text);
      continue;
    }
    const owner = ownerOf(run, piece);
    const colour = owner ? colourOf(owner) : "transparent";
    const className = `word${isRoot(owner, piece) ? " root" : ""}`;
    if (piece.map === undefined) {
      line.append(el("span", { className: `${className} nomap`, style: { borderBottomColor: colour }, title: "no map" }, piece.text));
      continue;
    }
    const button = el("button", { type: "button", className, "aria-pressed": chosen === piece.number, style: { borderBottomColor: colour },
      title: `map of “${piece.text}”, peak ${shown(piece.peak)}`, tabIndex: -1, "data-word": piece.number, onclick: () => choose(chosen === piece.number ? null : piece.number) }, piece.text);
    buttons.push(button);
    line.append(button);
  }
  const first = buttons.find((one) => Number(one.dataset.word) === chosen) || buttons[0];
  if (first) first.tabIndex = 0;
  line.addEventListener("keydown", (event) => {
    const turn = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!turn) return;
    event.preventDefault();
    event.stopPropagation();
    const next = buttons[(buttons.indexOf(document.activeElement) + turn + buttons.length) % buttons.length];
    choose(Number(next.dataset.word), true);
  });
  return line;
}

// Arcs over the words: adjective to noun, subject and object to verb, owner to owned, noun to noun by its preposition.
function grammarView(sample, run) {
  const words = (run.words || []).map((word) => ({ ...word, text: slicePoints(sample.text, word.start, word.end) }));
  if (!words.length || !run.targets) return null;
  const measure = el("canvas").getContext("2d");
  measure.font = "15px system-ui, sans-serif";
  let x = 10;
  for (const word of words) {
    const width = measure.measureText(word.text).width;
    word.x = x + width / 2;
    x += width + 12;
  }
  const place = (start, end) => {
    const inside = words.filter((word) => word.start < end && start < word.end);
    return inside.length ? inside[inside.length - 1].x : null;
  };
  const phrases = run.targets.filter((one) => one.kind === "phrase");
  const root = (index) => (index === null || index === undefined || !phrases[index] ? null : place(phrases[index].root_start, phrases[index].root_end));
  const arcs = [];
  for (const phrase of phrases) {
    for (const [start, end] of phrase.adjectives || []) arcs.push([root(phrase.index), place(start, end), "describes", colourOf(phrase)]);
    if (phrase.possessor !== null) arcs.push([root(phrase.index), root(phrase.possessor), "owner", colourOf(phrase)]);
  }
  for (const one of run.targets.filter((target) => target.kind === "predicate")) {
    arcs.push([place(one.start, one.end), root(one.subject), "subject", "var(--soft)"]);
    arcs.push([place(one.start, one.end), root(one.object), "object", "var(--soft)"]);
  }
  for (const one of run.relations || []) arcs.push([root(one.subject), root(one.object), slicePoints(sample.text, one.start, one.end), "var(--soft)"]);
  const drawn = arcs.filter(([from, to]) => from !== null && to !== null && from !== to).sort((a, b) => Math.abs(a[0] - a[1]) - Math.abs(b[0] - b[1]));
  const rise = (from, to) => Math.min(110, 16 + Math.abs(from - to) * 0.28);
  const top = Math.max(20, ...drawn.map(([from, to]) => rise(from, to) + 16));
  const says = drawn.map(([from, to, label]) => `${words.find((word) => word.x === from)?.text} → ${words.find((word) => word.x === to)?.text}: ${label}`);
  const picture = svg("svg", { width: x, height: top + 24, viewBox: `0 0 ${x} ${top + 24}`, role: "img", "aria-label": `Grammar. ${says.join("; ")}`, class: "grammar" });
  for (const [from, to, label, colour] of drawn) {
    const height = rise(from, to);
    const arc = svg("path", { d: `M${from},${top} C${from},${top - height * 1.3} ${to},${top - height * 1.3} ${to},${top - 3}`, class: "arc" });
    arc.style.stroke = colour;
    picture.append(arc, svg("circle", { cx: to, cy: top - 2, r: 2.5, class: "end" }), svg("text", { x: (from + to) / 2, y: top - height - 3, class: "label" }, label));
  }
  for (const word of words) {
    const owner = ownerOf(run, word);
    picture.append(svg("text", { x: word.x, y: top + 16, class: `token${isRoot(owner, word) ? " root" : ""}` }, word.text));
  }
  return el("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": "Grammar" }, picture);
}
