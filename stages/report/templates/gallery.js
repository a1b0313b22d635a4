"use strict";
// The gallery: only the cards in sight are elements, whatever the number of samples. One tab stop; arrows move in it.

const gallery = { grid: null, scroller: null, columns: 1, width: 176, gap: 10, cards: new Map(), at: 0, order: "" };
const TEXT = 70; // pixels of a card below its picture

function buildGallery(main) {
  gallery.scroller = main;
  gallery.width = kept("anyword card size") || 176;
  gallery.grid = el("div", { className: "grid", role: "list", "aria-label": "Samples" });
  gallery.grid.addEventListener("keydown", moveInGallery);
  new ResizeObserver(() => page.view === "gallery" && drawGallery()).observe(main);
  main.addEventListener("scroll", () => page.view === "gallery" && drawCards(), { passive: true });
}

// All anew: other rows, another size.
function drawGallery() {
  const { grid, scroller } = gallery;
  const room = scroller.clientWidth - 2 * gallery.gap;
  const width = Math.min(gallery.width, Math.floor((room - gallery.gap) / 2)); // a phone has two columns
  gallery.columns = Math.max(1, Math.floor((room + gallery.gap) / (width + gallery.gap)));
  gallery.card = Math.min(room, Math.floor((room - gallery.gap * (gallery.columns - 1)) / gallery.columns));
  gallery.height = gallery.card + TEXT;
  gallery.at = Math.min(gallery.at, Math.max(0, page.rows.length - 1));
  const lines = Math.ceil(page.rows.length / gallery.columns);
  grid.style.height = `${lines * (gallery.height + gallery.gap)}px`;
  const focused = grid.contains(document.activeElement);
  for (const card of gallery.cards.values()) card.remove();
  gallery.cards.clear();
  if (grid.parentNode !== scroller) scroller.replaceChildren(grid);
  if (!page.rows.length) grid.replaceChildren(el("p", { className: "soft" }, "No sample fits the filter."));
  else grid.querySelector("p")?.remove();
  drawCards();
  if (focused) focusCard(gallery.at);
}

function drawCards() {
  const { scroller, cards, columns, height, gap } = gallery;
  const line = height + gap;
  const first = Math.max(0, Math.floor(scroller.scrollTop / line) - 1) * columns;
  const last = Math.min(page.rows.length, (Math.ceil((scroller.scrollTop + scroller.clientHeight) / line) + 1) * columns);
  for (const [at, card] of cards)
    if ((at < first || at >= last) && !card.contains(document.activeElement)) {
      card.remove();
      cards.delete(at);
    }
  const fresh = [];
  for (let at = first; at < last; at++)
    if (!cards.has(at)) {
      const card = drawCard(at);
      cards.set(at, card);
      fresh.push(card);
    }
  gallery.grid.append(...fresh);
}

function drawCard(at) {
  const row = page.rows[at];
  const { table } = page;
  const { card: width, gap, columns, height } = gallery;
  const failed = table.stage[row] !== "";
  const column = page.columns.get(page.sort);
  const value = column ? table.numbers[column.name][row] : NaN;
  const mark = markOf(table.id[row]).mark;
  const figure = failed ? `failed in ${table.stage[row]}` : column && column.name !== "order" ? `${column.label} ${shown(value)}` : "";
  const link = el("a", { className: "card", href: address({ id: table.id[row] }), tabIndex: at === gallery.at ? 0 : -1, title: table.text[row] },
    el("span", { className: "picture", style: { width: `${width}px`, height: `${width}px` } }, thumbnail(row, width)),
    el("span", { className: "name" }, el("bdi", {}, table.id[row]), mark ? el("span", { className: `badge ${mark}` }, mark) : null),
    el("span", { className: `figure${failed ? " bad" : ""}` }, figure),
    el("span", { className: "words", dir: "auto" }, table.text[row]));
  return el("div", { role: "listitem", className: "cell", "aria-setsize": page.rows.length, "aria-posinset": at + 1, "data-at": at,
    style: { width: `${width}px`, height: `${height}px`, left: `${gap + (at % columns) * (width + gap)}px`, top: `${gap / 2 + Math.floor(at / columns) * (height + gap)}px` } }, link);
}

// A sample's cell of its sheet, with its masks over it.
function thumbnail(row, width) {
  const { sheet, cell } = page.index.files;
  const part = Math.floor(row / sheet);
  const there = Math.min(sheet, page.table.count - part * sheet);
  const side = Math.ceil(Math.sqrt(there));
  const [x, y] = [(row % sheet) % side, Math.floor((row % sheet) / side)];
  const [own, other] = page.table.size[row];
  const scale = width / cell;
  const [w, h] = [own, other].map((one) => Math.max(1, Math.round((one * cell) / Math.max(own, other))) * scale);
  const layer = (name) => el("span", { className: `layer ${name.startsWith("masks") ? "over" : ""}`, style: {
    backgroundImage: `url("data/${name}")`, backgroundSize: `${side * width}px ${side * width}px`, backgroundPosition: `${-x * width}px ${-y * width}px` } });
  return el("span", { className: "thumb", style: { width: `${w}px`, height: `${h}px` } },
    layer(`images-${padded(part)}.jpg`), layer(`masks-${padded(part)}.png`));
}

function focusCard(at, focus = true) {
  gallery.at = Math.max(0, Math.min(page.rows.length - 1, at));
  const { scroller, height, gap, columns } = gallery;
  const top = Math.floor(gallery.at / columns) * (height + gap);
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (top + height + gap > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + height + 2 * gap - scroller.clientHeight;
  drawCards();
  for (const [place, card] of gallery.cards) card.firstChild.tabIndex = place === gallery.at ? 0 : -1;
  if (focus) gallery.cards.get(gallery.at)?.firstChild.focus({ preventScroll: true });
}

function moveInGallery(event) {
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -gallery.columns, ArrowDown: gallery.columns, Home: -Infinity, End: Infinity };
  if (!(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const at = Number(event.target.closest(".cell")?.dataset.at ?? gallery.at);
  const to = at + moves[event.key];
  focusCard(to < 0 && event.key === "ArrowUp" ? at : to >= page.rows.length && event.key === "ArrowDown" ? at : to);
}
