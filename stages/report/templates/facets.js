"use strict";
// The filters beside the gallery: a histogram a number, counts a value. Each only writes a term into the query.

const OPEN = 6; // histograms that stand open at first
const VALUES = 12;

const facets = { numbers: new Map(), values: null, marks: null };

function buildFacets(panel) {
  const { columns } = page.index;
  const first = columns.slice(0, OPEN);
  facets.values = el("div");
  facets.marks = el("div");
  const rest = columns.filter((one) => !first.includes(one));
  panel.replaceChildren(
    ...first.map(numberFacet).filter(Boolean),
    facets.values,
    facets.marks,
    el("details", {}, el("summary", {}, "More numbers"), ...rest.map(numberFacet).filter(Boolean)));
}

// One number: its histogram (all samples pale, the filtered ones full), and its range as two fields.
function numberFacet(column) {
  const values = page.table.numbers[column.name];
  const range = bounds(values);
  if (!range || range.low === range.high) return null; // nothing to choose
  const all = histogram(values, values.keys(), range);
  const most = Math.max(...all, 1);
  const picture = svg("svg", { viewBox: `0 0 ${BINS * 10} 40`, preserveAspectRatio: "none", "aria-hidden": "true", class: "histogram" });
  const height = (count) => (count ? 2 + 38 * Math.sqrt(count / most) : 0);
  const bars = [...all].map((count, i) => {
    const bar = svg("rect", { class: "now", x: i * 10 + 0.5, width: 9 });
    picture.append(svg("rect", { class: "all", x: i * 10 + 0.5, width: 9, y: 40 - height(count), height: height(count) }), bar);
    return bar;
  });
  const chosen = svg("rect", { class: "chosen", y: 0, height: 40, x: 0, width: 0 });
  picture.append(chosen);
  const edge = (bin) => Number((range.low + ((range.high - range.low) * bin) / BINS).toPrecision(4));
  const field = (text) => el("input", { type: "number", step: "any", "aria-label": `${column.label}, ${text}`, placeholder: shown(text === "from" ? range.low : range.high),
    onchange: () => setRange(column.name, low.value === "" ? null : Number(low.value), high.value === "" ? null : Number(high.value)) });
  const low = field("from");
  const high = field("to");
  dragRange(picture, chosen, (from, to) => setRange(column.name, from <= 0 ? null : edge(from), to >= BINS ? null : edge(to)));
  facets.numbers.set(column.name, {
    update: (rows, asked) => {
      const now = histogram(values, rows, range);
      now.forEach((count, i) => assign(bars[i], { y: 40 - height(count), height: height(count) }, true));
      if (document.activeElement !== low) low.value = asked.low ?? "";
      if (document.activeElement !== high) high.value = asked.high ?? "";
      const place = (value) => (range.high > range.low ? Math.max(0, Math.min(1, (value - range.low) / (range.high - range.low))) : 0) * BINS * 10;
      const none = asked.low === null && asked.high === null;
      const from = place(asked.low ?? range.low);
      assign(chosen, { x: from, width: none ? 0 : Math.max(2, place(asked.high ?? range.high) - from) }, true);
    },
  });
  const sort = el("button", { type: "button", className: "plain", title: `Sort by it. ${column.help}`,
    onclick: () => go({ sort: column.name, order: column.direction > 0 ? "down" : "up" }) }, column.label);
  return el("section", { className: "facet" }, el("h3", { title: column.help }, sort), picture,
    el("p", { className: "range" }, low, el("span", { "aria-hidden": "true" }, "–"), high));
}

const setRange = (name, low, high) => go({ q: withRange(readAddress().q, name, low, high) });

// A drag over a histogram, told as from and to in bins.
function dragRange(picture, chosen, done) {
  let from = null;
  const bin = (event) => {
    const box = picture.getBoundingClientRect();
    return Math.max(0, Math.min(BINS, ((event.clientX - box.left) / box.width) * BINS));
  };
  picture.addEventListener("pointerdown", (event) => {
    from = bin(event);
    picture.setPointerCapture(event.pointerId);
  });
  picture.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const to = bin(event);
    assign(chosen, { x: Math.min(from, to) * 10, width: Math.abs(to - from) * 10 }, true);
  });
  picture.addEventListener("pointerup", (event) => {
    if (from === null) return;
    const ends = [from, bin(event)].sort((a, b) => a - b);
    from = null;
    done(Math.floor(ends[0]), Math.ceil(Math.max(ends[1], ends[0] + 0.01)));
  });
  picture.addEventListener("pointercancel", () => (from = null));
}

// Values that a click filters by.
function valueButton(key, value, count) {
  const pressed = page.terms.some((one) => one.key === key && !one.negated && one.value === value);
  return el("button", { type: "button", className: "value", "aria-pressed": pressed, title: value,
    onclick: () => go({ q: toggledTerm(readAddress().q, key, value) }) },
    el("span", {}, value), el("span", { className: "n" }, String(count)));
}

function valueFacet(title, key, values) {
  const found = tally(values, page.rows, VALUES);
  const asked = page.terms.filter((one) => one.key === key && !one.negated && !found.some(([value]) => value === one.value));
  if (!found.length && !asked.length) return null;
  return el("section", { className: "facet" }, el("h3", {}, title),
    el("div", { className: "values" }, ...found.map(([value, count]) => valueButton(key, value, count)), ...asked.map((one) => valueButton(key, one.value, 0))));
}

function updateFacets() {
  for (const [name, facet] of facets.numbers) facet.update(page.rows, rangeOf(page.terms, name));
  const { table } = page;
  facets.values.replaceChildren(...[
    valueFacet("Failed in", "stage", table.stage),
    valueFacet("Tags", "tag", table.tags),
    new Set(table.split).size > 1 ? valueFacet("Split", "split", table.split) : null,
    valueFacet("Phrases", "phrase", table.phrases),
  ].filter(Boolean));
  facets.marks.replaceChildren(marksPanel(refresh));
}
