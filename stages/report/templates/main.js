"use strict";
// The page: data in, then what the address says, and the keys.

const page = { index: null, table: null, rows: [], terms: [], columns: new Map(), view: "", sort: "", main: null };

function complain(text) {
  const place = byId("complaint");
  place.textContent = text;
  place.hidden = !text;
}

async function start() {
  page.main = byId("main");
  try {
    page.index = await load("index");
    const parts = await Promise.all(Array.from({ length: Math.ceil(page.index.shown / page.index.files.rows) }, (_, i) => load(`rows-${padded(i)}`)));
    page.columns = new Map(page.index.columns.map((one) => [one.name, one]));
    page.table = joinTable(parts, [...page.columns.keys()]);
  } catch (error) {
    complain(error.message);
    return;
  }
  openMarks(page.index);
  const { index } = page;
  byId("title").textContent = index.experiments.join(" | ");
  byId("dataset").textContent = `${index.dataset} · ${index.total} samples`;
  byId("sort").append(...[...index.columns, { name: "id", label: "id" }].map((one) => el("option", { value: one.name }, one.label)));
  const count = index.failures.reduce((sum, one) => sum + one.count, 0);
  document.querySelector('[data-view="failures"]').textContent = count ? `Failures ${count}` : "Failures";
  buildFacets(byId("facets"));
  buildGallery(page.main);
  fillHelp(byId("help"));
  listen();
  route();
  document.documentElement.dataset.ready = "true";
}

// The column that is sorted by, and the way, where the address does not say.
function standard() {
  const name = ["disagreement", "suspicion", "order"].find((one) => page.columns.has(one)) || "id";
  return { sort: name, order: name === "order" || name === "id" ? "up" : "down" };
}

// Show what the address asks for.
function route() {
  const asked = readAddress();
  const before = page.view;
  const usual = standard();
  const sort = page.columns.has(asked.sort) || asked.sort === "id" ? asked.sort : usual.sort;
  const order = asked.order || (sort === usual.sort ? usual.order : "down");
  if (asked.q !== page.q || sort !== page.sort || order !== page.order || !page.counted) {
    const { terms, complaint } = parseQuery(asked.q, [...page.columns.keys()]);
    complain(complaint);
    Object.assign(page, { terms, q: asked.q, sort, order, counted: true });
    page.rows = sortRows(page.table, filterTable(page.table, terms), sort, order);
    if (byId("query") !== document.activeElement || byId("query").value.trim() !== asked.q) byId("query").value = asked.q;
    byId("sort").value = sort;
    byId("order").textContent = order === "up" ? "↑" : "↓";
    byId("order").title = order === "up" ? "smallest first" : "largest first";
    const { count } = page.table;
    byId("count").textContent = page.rows.length === count ? `${count} samples` : `${page.rows.length} of ${count}`;
    updateFacets();
    gallery.at = 0;
    if (asked.view === "gallery") page.main.scrollTop = gallery.scroll = 0;
    page.fresh = true;
  }
  if (before === "gallery" && asked.view !== "gallery") gallery.scroll = page.main.scrollTop;
  page.view = asked.view;
  document.body.dataset.view = asked.view;
  for (const button of document.querySelectorAll("[data-view]")) if (button.matches("button")) button.setAttribute("aria-current", button.dataset.view === asked.view ? "page" : "false");
  if (asked.view === "sample") showSample(asked.id);
  else {
    open = null;
    if (asked.view === "failures") showFailures();
    else if (asked.view === "about") showAbout();
    else {
      drawGallery();
      if (before !== "gallery" && before) {
        page.main.scrollTop = gallery.scroll || 0;
        focusCard(gallery.at, before === "sample");
      }
    }
    if (asked.view !== "gallery") page.main.scrollTop = 0;
  }
}

// After marks changed: what depends on them, anew.
function refresh() {
  page.counted = false;
  route();
}

function listen() {
  addEventListener("hashchange", route);
  const query = byId("query");
  let later = 0;
  query.addEventListener("input", () => {
    clearTimeout(later);
    later = setTimeout(() => go({ q: query.value.trim(), view: "gallery", id: null }, { replace: true }), 120);
  });
  query.addEventListener("keydown", (event) => {
    if (event.key === "Escape") query.blur();
    if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      clearTimeout(later);
      go({ q: query.value.trim(), view: "gallery", id: null }, { replace: true });
      if (page.rows.length) focusCard(0);
    }
  });
  byId("sort").addEventListener("change", (event) => {
    const column = page.columns.get(event.target.value);
    go({ sort: event.target.value, order: column && column.direction > 0 ? "down" : "up" });
  });
  byId("order").addEventListener("click", () => go({ sort: page.sort, order: page.order === "up" ? "down" : "up" }));
  byId("size").value = gallery.width;
  byId("size").addEventListener("input", (event) => {
    gallery.width = Number(event.target.value);
    kept("anyword card size", gallery.width);
    if (page.view === "gallery") drawGallery();
  });
  byId("toggle-masks").addEventListener("click", toggleThumbnailMasks);
  byId("show-facets").addEventListener("click", (event) => {
    const now = document.body.classList.toggle("filtering");
    event.currentTarget.setAttribute("aria-expanded", now);
  });
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    if (page.view === "gallery" && page.rows.length) focusCard(gallery.at);
    else page.main.focus();
  });
  for (const button of document.querySelectorAll("nav [data-view]")) button.addEventListener("click", () => go({ view: button.dataset.view, id: null }));
  document.addEventListener("keydown", onKey);
}

function toggleThumbnailMasks() {
  const hidden = document.body.classList.toggle("no-masks");
  byId("toggle-masks").setAttribute("aria-pressed", !hidden);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const typing = event.target.matches("input:not([type=range]), select, textarea");
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const press = (selector) => () => page.main.querySelector(selector)?.click();
  const inSample = page.view === "sample" && open;
  const keys = {
    "/": () => { byId("query").focus(); byId("query").select(); },
    "?": () => byId("help").showModal(),
    m: inSample ? press('[data-layer="masks"]') : toggleThumbnailMasks,
    j: inSample ? () => stepSample(1) : () => focusCard(gallery.at + 1),
    k: inSample ? () => stepSample(-1) : () => focusCard(gallery.at - 1),
  };
  if (inSample) {
    Object.assign(keys, {
      p: press('[data-layer="points"]'), t: press('[data-layer="truth"]'), s: press('[data-layer="smooth"]'),
      g: press(".mark.good"), b: press(".mark.bad"), n: () => byId("note")?.focus(),
      w: () => stepWord(1), W: () => stepWord(-1), "[": () => strengthen(-0.1), "]": () => strengthen(0.1),
      Escape: () => {
        if (chosen.word === null && chosen.phrase === null) return go({ id: null });
        Object.assign(chosen, { word: null, phrase: null, point: null });
        drawRuns();
      },
    });
    if (/^[1-9]$/.test(event.key)) keys[event.key] = () => page.main.querySelectorAll("button.phrase")[Number(event.key) - 1]?.click();
  } else if (page.view !== "gallery") {
    keys.Escape = () => go({ view: "gallery", id: null });
    delete keys.j;
    delete keys.k;
  }
  const act = Object.hasOwn(keys, event.key) && keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function stepWord(turn) {
  const words = (open.runs[0].run.words || []).map((one, number) => (one.map === undefined ? -1 : number)).filter((one) => one >= 0);
  if (!words.length) return;
  const at = words.indexOf(chosen.word);
  chosen.word = at < 0 ? words[turn > 0 ? 0 : words.length - 1] : words[(at + turn + words.length) % words.length];
  drawRuns();
}

function strengthen(by) {
  look.strength = Math.max(0, Math.min(1, look.strength + by));
  const slider = page.main.querySelector('.layers input[type="range"]');
  if (slider) slider.value = look.strength;
  drawRuns();
}

start();
