"use strict";
// What every other script uses: data beside the page, elements, the address.

const waiting = new Map();
const held = new Map(); // the details that were looked at last
const HELD = 16;

// Every file of data is one call of this.
function anyword(name, value) {
  const done = waiting.get(name);
  waiting.delete(name);
  if (done) done(value);
}

// A file of data as a promise. A page opened as a file may not fetch, but it may load scripts.
function load(name) {
  return new Promise((done, fail) => {
    const script = document.createElement("script");
    script.src = `data/${name}.js`;
    waiting.set(name, done);
    script.onload = () => {
      script.remove();
      if (waiting.delete(name)) fail(new Error(`data/${name}.js is not what it should be`));
    };
    script.onerror = () => {
      script.remove();
      waiting.delete(name);
      fail(new Error(`data/${name}.js is not there: the folder was not copied whole`));
    };
    document.head.append(script);
  });
}

// The same for details, the last few of which stay in memory.
function loadHeld(name) {
  const found = held.get(name) || load(name);
  held.delete(name);
  held.set(name, found);
  found.catch(() => held.delete(name));
  while (held.size > HELD) held.delete(held.keys().next().value);
  return found;
}

const padded = (number) => String(number).padStart(5, "0");

// An element. Properties by name, "on…" as listeners, "aria-…", "data-…" and other attributes by their names; children
// are elements or text. Nothing of the data ever becomes markup.
function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  assign(made, properties);
  made.append(...children.filter((one) => one !== null && one !== undefined));
  return made;
}

function svg(tag, properties = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  assign(made, properties, true);
  made.append(...children);
  return made;
}

function assign(made, properties, attributes = false) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(made.style, value);
    else if (attributes || name.includes("-") || name === "role" || name === "for") made.setAttribute(name, value);
    else made[name] = value;
  }
}

const byId = (id) => document.getElementById(id);
const shown = (value) =>
  value === null || value === undefined || Number.isNaN(value)
    ? "–"
    : Number.isInteger(value) ? String(value) : Math.abs(value) < 0.001 ? value.toExponential(1) : value.toFixed(Math.abs(value) < 0.1 ? 3 : 2);

// The address says what is shown: view, filter, order, sample.
function readAddress() {
  const found = new URLSearchParams(location.hash.slice(1));
  return {
    view: found.get("view") || (found.get("id") !== null ? "sample" : "gallery"),
    q: found.get("q") || "",
    sort: found.get("sort") || "",
    order: found.get("order") || "",
    id: found.get("id"),
  };
}

function address(changes = {}) {
  const now = { ...readAddress(), ...changes };
  if (changes.id !== undefined && !changes.view) now.view = changes.id === null ? "gallery" : "sample";
  const found = new URLSearchParams();
  for (const name of ["view", "q", "sort", "order", "id"]) {
    const implied = name === "view" && (now.view === "gallery" || now.view === "sample");
    const unused = name === "id" && now.view !== "sample";
    if (now[name] !== null && now[name] !== "" && !implied && !unused) found.set(name, now[name]);
  }
  return `#${found}`;
}

function go(changes, { replace = false } = {}) {
  const next = address(changes);
  if (next === (location.hash || "#")) return;
  if (replace) {
    history.replaceState(null, "", next);
    route();
  } else {
    location.hash = next;
  }
}

// What was chosen in this browser, kept where it allows it.
function kept(name, value) {
  try {
    if (value === undefined) return JSON.parse(localStorage.getItem(name));
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // a browser that keeps nothing still shows the page
  }
  return null;
}

function saveAs(name, content, type) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}
