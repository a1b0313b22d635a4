"use strict";
// One sample: picture, words, phrases with their points, and what it was made by. Two experiments stand side by side.

const look = { layers: { masks: true, points: true, truth: false }, strength: 0.75, smooth: true, part: -1, ...kept("anyword look") };
const chosen = { id: null, phrase: null, word: null, point: null }; // phrase: "kind start" of a target; word: its number
let open = null; // the sample shown: {sample, runs: [{run, overlay, panel}]}

const keyOf = (target) => `${target.kind} ${target.root_start}`;

async function showSample(id) {
  const row = page.table.rowOf.get(id);
  const { main } = page;
  if (row === undefined) {
    open = null;
    main.replaceChildren(el("div", { className: "note" }, el("p", {}, "This page has no sample ", el("b", {}, id), ".")));
    return;
  }
  if (chosen.id !== id) Object.assign(chosen, { id, phrase: null, word: null, point: null });
  const size = page.index.files.details;
  let sample;
  try {
    sample = (await loadHeld(`details-${padded(Math.floor(row / size))}`))[row % size];
  } catch (error) {
    return complain(error.message);
  }
  if (readAddress().id !== id) return; // the reader went on meanwhile
  const runs = await Promise.all(sample.runs.map(async (run) => {
    (run.targets || []).forEach((one, place) => (one.place = place));
    return { run, overlay: sample.width ? await new Overlay(sample, run, sample.truth || []).ready() : null };
  }));
  if (readAddress().id !== id) return;
  open = { id, row, sample, runs };
  const at = page.rows.indexOf(row);
  const bar = markBar(id, updateFacets);
  open.marks = bar;
  const step = (turn, text, key) => el("button", { type: "button", className: "step", disabled: at < 0 ? !page.rows.length : !page.rows[at + turn], "aria-keyshortcuts": key, title: `${text} (${key})`, onclick: () => stepSample(turn) }, text);
  const saves = ["png", "svg"].map((form) => el("button", { type: "button", className: "small", title: `A strip of image, words and masks as ${form.toUpperCase()}`, onclick: async () => { await saveStrip(sample, runs[0].run, runs[0].overlay, form); drawRuns(); } }, form.toUpperCase()));
  main.replaceChildren(el("article", { className: "sample" },
    el("header", {},
      el("button", { type: "button", className: "step", title: "Back to the gallery (Escape)", onclick: () => go({ id: null }) }, "← Gallery"),
      el("h2", {}, el("bdi", {}, id)),
      el("span", { className: "soft" }, at < 0 ? "outside the filter" : `${at + 1} of ${page.rows.length}`),
      step(-1, "Previous", "k"), step(1, "Next", "j"), bar.bar),
    el("p", { className: "soft facts" }, [sample.file, sample.width ? `${sample.width}×${sample.height}` : "", sample.split, ...(sample.tags || [])].filter(Boolean).join(" · ")),
    runs[0].overlay ? layersBar(runs) : null,
    el("div", { className: `runs${runs.length > 1 ? " two" : ""}` }, ...runs.map((one, i) => (one.panel = el("section", { className: "run", "aria-label": page.index.experiments[i] })))),
    runs[0].overlay ? el("p", { className: "row soft" }, "Picture for a paper: ", ...saves) : null,
    figuresView(row), provenanceView()));
  drawRuns();
  main.scrollTop = 0;
}

function stepSample(turn) {
  const at = page.rows.indexOf(page.table.rowOf.get(readAddress().id));
  const row = page.rows[at < 0 ? 0 : at + turn];
  if (row === undefined) return;
  gallery.at = at < 0 ? 0 : at + turn;
  go({ id: page.table.id[row] });
}

// Which layers, how strong, which part of a map: kept from sample to sample.
function layersBar(runs) {
  const remember = () => {
    kept("anyword look", { layers: look.layers, strength: look.strength, smooth: look.smooth });
    drawRuns();
  };
  const toggle = (name, key) => el("button", { type: "button", "aria-pressed": look.layers[name], "aria-keyshortcuts": key, title: `${name} (${key})`, "data-layer": name,
    onclick: (event) => { look.layers[name] = !look.layers[name]; event.currentTarget.setAttribute("aria-pressed", look.layers[name]); remember(); } }, name);
  const smooth = el("button", { type: "button", "aria-pressed": look.smooth, "aria-keyshortcuts": "s", title: "smooth, or the cells as they are (s)", "data-layer": "smooth",
    onclick: (event) => { look.smooth = !look.smooth; event.currentTarget.setAttribute("aria-pressed", look.smooth); remember(); } }, "smooth map");
  const strength = el("input", { type: "range", min: 0, max: 1, step: 0.05, value: look.strength, "aria-label": "Strength of the map", oninput: () => { look.strength = Number(strength.value); remember(); } });
  const parts = runs.find((one) => one.run.parts)?.run.parts;
  look.part = Math.min(look.part, (parts?.names.length || 0) - 1);
  const label = el("span", {}, partText(parts));
  const slider = parts && el("input", { type: "range", min: -1, max: parts.names.length - 1, step: 1, value: look.part, "aria-label": "Part of the map", "aria-valuetext": partText(parts),
    oninput: () => { look.part = Number(slider.value); label.textContent = partText(parts); slider.setAttribute("aria-valuetext", partText(parts)); drawRuns(); } });
  return el("div", { className: "layers", role: "group", "aria-label": "Layers" }, toggle("masks", "m"), toggle("points", "p"),
    open.sample.truth?.length ? toggle("truth", "t") : null, smooth, el("label", {}, "map ", strength), slider ? el("label", {}, slider, " ", label) : null);
}

const partText = (parts) => (parts && look.part >= 0 ? parts.names[look.part] : `the mean of ${parts?.of} maps`);

// The points of a target, each with whose word gave it.
function pointsOf(run, target) {
  return (target.points || []).map(([x, y, label, start, end], number) => {
    const giver = (run.targets || []).find((one) => one.kind === "phrase" && ((one.root_start <= start && end <= one.root_end) || (one.adjectives || []).some(([from, to]) => from === start && to === end)));
    return { x, y, inside: label === 1, start, end, giver, number, target, colour: start < 0 ? "#555555" : colourOf(giver || target) };
  });
}

function whyPoint(sample, point) {
  const word = point.start < 0 ? "" : `“${slicePoints(sample.text, point.start, point.end)}”`;
  if (point.inside) return `where the map of ${word} is high`;
  if (point.start < 0) return "drawn where this only phrase does not respond: background";
  const phrase = point.giver ? `“${slicePoints(sample.text, point.giver.start, point.giver.end)}”` : "another phrase";
  return `a positive of ${phrase}, from the map of ${word}: what is ${phrase} is not this`;
}

function drawRuns() {
  if (!open) return;
  for (const one of open.runs) drawRun(one);
}

function drawRun({ run, overlay, panel }) {
  const { sample } = open;
  const number = open.runs.findIndex((one) => one.panel === panel);
  const targets = run.targets || [];
  const target = targets.find((one) => keyOf(one) === chosen.phrase) || null;
  const word = chosen.word === null ? null : run.words?.[chosen.word];
  const map = word?.map ?? null;
  let focused = document.activeElement?.closest?.("[data-word], [data-phrase], [data-point]");
  focused = focused && panel.contains(focused) ? { ...focused.dataset } : null;
  if (overlay) {
    const points = target ? pointsOf(run, target) : word ? targets.flatMap((one) => pointsOf(run, one)).filter((one) => one.inside && one.start === word.start) : [];
    overlay.draw({
      word: map, part: look.part, layers: look.layers, strength: look.strength, smooth: look.smooth,
      chosen: target ? [target] : targets.filter((one) => one.kind === "phrase"),
      truths: (sample.truth || []).filter((one) => !target || (target.truth && target.truth[0] === one.kind && target.truth[1] === one.index)),
      points: points.map((one) => ({ ...one, bright: chosen.point === one.number })),
      says: map !== null ? `Map of “${slicePoints(sample.text, word.start, word.end)}”` : target ? `Mask of “${slicePoints(sample.text, target.start, target.end)}”` : "Masks of all phrases",
    });
  }
  const choose = (changes) => {
    Object.assign(chosen, { point: null }, changes);
    drawRuns();
  };
  const answered = new Set(targets.filter((one) => one.truth).map((one) => one.truth.join(" ")));
  const missed = run.targets && !run.failed ? (sample.truth || []).filter((one) => !answered.has(`${one.kind} ${one.index}`)) : [];
  panel.replaceChildren(...[
    open.runs.length > 1 ? el("h3", {}, page.index.experiments[number]) : null,
    run.failed ? failedNote(run.failed) : null,
    overlay ? el("figure", {}, overlay.canvas, el("figcaption", { "aria-live": "polite" }, caption(sample, run, target, word))) : null,
    el("div", { className: "words-side" },
      run.words ? sentenceView(sample, run, chosen.word, (next, focus) => { choose({ word: next }); if (focus) panel.querySelector(`[data-word="${next}"]`)?.focus(); }) : el("p", { dir: "auto" }, sample.text),
      phrasesView(sample, run, targets, missed, choose),
      target && target.points ? pointsView(sample, run, target, choose) : null,
      run.targets ? el("details", { className: "fold", open: kept("anyword grammar") !== false, ontoggle: (event) => kept("anyword grammar", event.currentTarget.open) }, el("summary", {}, "Grammar"), grammarView(sample, run)) : null,
      (run.notes || []).length ? el("p", { className: "soft" }, `The parser: ${run.notes.join(" ")}`) : null,
      run.loss?.length ? lossView(run.loss) : null),
  ].filter(Boolean));
  if (focused) {
    const [name, value] = Object.entries(focused).find(([key]) => ["word", "phrase", "point"].includes(key));
    panel.querySelector(`[data-${name}="${CSS.escape(value)}"]`)?.focus();
  }
}

function caption(sample, run, target, word) {
  if (word && word.map !== undefined) return `Map of “${slicePoints(sample.text, word.start, word.end)}”: peak ${shown(word.peak)}${word.drift === undefined ? "" : `, embedding moved by ${shown(word.drift)} of its length`}; each map is stretched over its own range.`;
  if (target) return `${target.kind} “${slicePoints(sample.text, target.start, target.end)}”`;
  return (run.targets || []).length ? "Masks of all phrases. Choose a word for its map, a phrase for its mask and points." : "No phrase was found.";
}

function failedNote({ stage, reason }) {
  const group = page.index.failures.find((one) => one.stage === stage && one.samples.some((own) => own.reason === reason));
  return el("div", { className: "note bad" }, el("p", {}, el("b", {}, `Failed in ${stage}: `), reason), group ? commandView(group.command) : null);
}

// Phrases and predicates as buttons with their figures, then truths that nothing answers.
function phrasesView(sample, run, targets, missed, choose) {
  const list = el("ul", { className: "phrases" });
  for (const one of targets) {
    const figures = one.figures || {};
    const facts = [one.kind, figures.score !== undefined ? `score ${shown(figures.score)}` : "", figures.contrast !== undefined ? `contrast ${shown(figures.contrast)}` : "", figures.agreement !== undefined ? `agreement ${shown(figures.agreement)}` : "",
      one.mask ? (one.mask.area ? "" : "empty mask") : "no mask", sample.truth?.length && one.mask && !one.truth && one.kind === "phrase" ? "answers no truth" : ""].filter(Boolean).join(" · ");
    const pressed = keyOf(one) === chosen.phrase;
    list.append(el("li", {}, el("button", { type: "button", className: "phrase", "aria-pressed": pressed, "data-phrase": keyOf(one), onclick: () => choose({ phrase: pressed ? null : keyOf(one) }) },
      el("span", { className: "chip", style: { background: colourOf(one) } }),
      el("span", {}, el("b", { dir: "auto" }, slicePoints(sample.text, one.start, one.end)), el("small", {}, facts)),
      el("span", { className: "value-side" }, one.iou !== undefined ? el("span", { className: `iou${one.iou < 0.5 ? " bad" : ""}` }, `IoU ${shown(one.iou)}`) : null, figures.suspicion !== undefined ? el("small", {}, `suspicion ${shown(figures.suspicion)}`) : null))));
  }
  for (const one of missed) list.append(el("li", { className: "phrase missed" }, el("span", { className: "chip" }), el("span", {}, el("b", { dir: "auto" }, one.text), el("small", { className: "bad" }, `truth of a ${one.kind} that nothing answers`)), el("span", { className: "iou bad" }, "IoU 0")));
  return list;
}

// The points of the chosen phrase, one a line, with what each is there for.
function pointsView(sample, run, target, choose) {
  return el("ol", { className: "points", "aria-label": "Points" }, ...pointsOf(run, target).map((one) =>
    el("li", {}, el("button", { type: "button", "data-point": one.number, "aria-pressed": chosen.point === one.number, onclick: () => choose({ point: chosen.point === one.number ? null : one.number }) },
      el("span", { className: `dot ${one.inside ? "inside" : "outside"}`, style: { background: one.colour } }, one.inside ? "" : "×"),
      el("span", {}, el("b", {}, one.inside ? "inside" : "outside"), ` at ${Math.round(one.x * sample.width)}, ${Math.round(one.y * sample.height)}: ${whyPoint(sample, one)}`)))));
}

function lossView(loss) {
  const high = Math.max(...loss);
  const low = Math.min(...loss);
  const at = (value, i) => `${loss.length > 1 ? (i / (loss.length - 1)) * 200 : 100},${44 - (high > low ? ((value - low) / (high - low)) * 40 : 20)}`;
  return el("figure", { className: "loss" },
    svg("svg", { viewBox: "0 0 200 48", role: "img", "aria-label": `Loss from ${shown(loss[0])} to ${shown(loss[loss.length - 1])}` }, svg("polyline", { points: loss.map(at).join(" ") })),
    el("figcaption", {}, `Inversion's loss, ${loss.length} steps: ${shown(loss[0])} → ${shown(loss[loss.length - 1])}`));
}

// Every number of the gallery, and where this sample stands among all.
function figuresView(row) {
  const { table, index } = page;
  const lines = index.columns.map((column) => {
    const values = table.numbers[column.name];
    if (Number.isNaN(values[row])) return null;
    let below = 0;
    let count = 0;
    for (const value of values) if (!Number.isNaN(value)) { count++; if (value < values[row]) below++; }
    return el("tr", { title: column.help }, el("th", { scope: "row" }, column.label), el("td", { className: "n" }, shown(values[row])), el("td", { className: "n soft" }, `over ${Math.round((100 * below) / count)} %`));
  });
  return el("details", { className: "fold" }, el("summary", {}, "All figures, among the page's samples"), el("table", {}, el("tbody", {}, ...lines.filter(Boolean))));
}
