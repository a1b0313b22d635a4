"use strict";
// Marks that a person gives: good, bad, a note. They stay in this browser until they are saved to a file.

const marks = { key: "", of: {} };

function openMarks(index) {
  marks.key = `anyword marks ${index.dataset}/${index.experiments.join("+")}`;
  marks.of = kept(marks.key) || {};
}

const markOf = (id) => (Object.hasOwn(marks.of, id) ? marks.of[id] : {});

function setMark(id, changes) {
  const now = { ...markOf(id), ...changes };
  if (now.mark || now.note) marks.of[id] = now;
  else delete marks.of[id];
  kept(marks.key, marks.of);
}

const csvCell = (text) => (/[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);

function marksAsCsv() {
  const lines = Object.entries(marks.of).map(([id, one]) => [id, one.mark || "", one.note || ""].map(csvCell).join(","));
  return ["sample_id,mark,note", ...lines].join("\n") + "\n";
}

const marksAsJson = () =>
  JSON.stringify(Object.entries(marks.of).map(([id, one]) => ({ sample_id: id, mark: one.mark || "", note: one.note || "" })), null, 1) + "\n";

// Marks of a file that this page, or another's, saved: those of this page's samples, laid over what is here.
function takeMarks(text) {
  const found = JSON.parse(text);
  if (!Array.isArray(found)) throw new Error("no list of marks");
  let count = 0;
  for (const one of found) {
    if (typeof one?.sample_id !== "string" || !page.table.rowOf.has(one.sample_id)) continue;
    setMark(one.sample_id, { mark: one.mark === "good" || one.mark === "bad" ? one.mark : "", note: String(one.note || "") });
    count++;
  }
  return count;
}

// The buttons of a sample.
function markBar(id, changed) {
  const bar = el("div", { className: "marks", role: "group", "aria-label": "Mark" });
  const draw = () => {
    const now = markOf(id);
    const button = (mark, text, key) =>
      el("button", { type: "button", className: `mark ${mark}`, "aria-pressed": now.mark === mark, title: `${text} (${key})`, "aria-keyshortcuts": key,
        onclick: () => { setMark(id, { mark: now.mark === mark ? "" : mark }); draw(); changed(); } }, text);
    const note = el("input", { type: "text", value: now.note || "", placeholder: "note", "aria-label": "Note", "aria-keyshortcuts": "n", id: "note",
      onchange: () => { setMark(id, { note: note.value.trim() }); changed(); } });
    bar.replaceChildren(button("good", "good", "g"), button("bad", "bad", "b"), note);
  };
  draw();
  return { bar, draw };
}

// Saving and loading, beside the facets.
function marksPanel(redraw) {
  const count = Object.keys(marks.of).length;
  const file = el("input", { type: "file", accept: ".json,application/json", hidden: true, onchange: async () => {
    try {
      const taken = takeMarks(await file.files[0].text());
      complain("");
      redraw();
      byId("count").textContent = `${taken} marks taken`;
    } catch (error) {
      complain(`${file.files[0]?.name}: no file of marks (${error.message}).`);
    }
  } });
  const stem = `marks-${page.index.experiments.join("-")}`;
  return el("section", { className: "facet" },
    el("h3", {}, "Marks", el("span", { className: "soft" }, ` ${count}`)),
    el("div", { className: "values" }, ...["good", "bad"].map((mark) => {
      const own = Object.values(marks.of).filter((one) => one.mark === mark).length;
      return valueButton("mark", mark, own);
    })),
    el("p", { className: "row" },
      el("button", { type: "button", className: "small", disabled: !count, onclick: () => saveAs(`${stem}.csv`, marksAsCsv(), "text/csv") }, "Save CSV"),
      el("button", { type: "button", className: "small", disabled: !count, onclick: () => saveAs(`${stem}.json`, marksAsJson(), "application/json") }, "Save JSON"),
      el("button", { type: "button", className: "small", onclick: () => file.click() }, "Load"), file));
}
