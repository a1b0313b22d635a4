"use strict";
// Failures with what repairs them; scores, the rule of suspicion, recipes.

function commandView(command) {
  const button = el("button", { type: "button", className: "small", onclick: async () => {
    try {
      await navigator.clipboard.writeText(command);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text);
      button.textContent = "Selected";
    }
  } }, "Copy");
  const text = el("code", {}, command);
  return el("p", { className: "command" }, text, button);
}

function showFailures() {
  const { failures } = page.index;
  const groups = failures.map((group) => el("section", { className: "block" },
    el("h2", {}, `${group.count} in ${group.stage}`),
    el("p", { className: "bad" }, group.kind),
    el("p", { className: "soft" }, "Once the cause is mended:"), commandView(group.command),
    el("p", {}, el("a", { href: address({ view: "gallery", id: null, q: `stage:${group.stage} reason:${quoted(group.kind)}` }) }, "Show them in the gallery")),
    el("details", { open: group.samples.length <= 20 }, el("summary", {}, `${group.samples.length}${group.count > group.samples.length ? ` of ${group.count}` : ""} samples`),
      el("ul", { className: "plain" }, ...group.samples.map((one) => el("li", {}, el("a", { href: address({ id: one.id }) }, el("bdi", {}, one.id)), " ", el("span", { className: "soft" }, one.reason)))))));
  page.main.replaceChildren(el("div", { className: "reading" }, el("h2", {}, failures.length ? "Failed samples" : "No sample failed."), ...groups));
}

function showAbout() {
  const { index } = page;
  const parts = [];
  if (index.shown < index.total)
    parts.push(el("p", { className: "note" }, `This page holds ${index.shown} of ${index.total} samples: half are those to be looked at first, half were drawn at random. Scores and failures cover all.`));
  index.scores.forEach((score, i) => {
    if (!score) return;
    parts.push(el("section", { className: "block" }, el("h2", {}, `Scores of ${index.experiments[i]}`),
      el("table", {}, el("thead", {}, el("tr", {}, ...["figure", "n", "value", "95 % interval"].map((one, at) => el("th", { scope: "col", className: at ? "n" : "" }, one)))),
        el("tbody", {}, ...score.lines.map((line) => el("tr", {}, el("th", { scope: "row" }, line.name), el("td", { className: "n" }, String(line.count)), el("td", { className: "n" }, line.value), el("td", { className: "n soft" }, line.interval))))),
      el("p", { className: "soft" }, `${score.predictions} predictions, ${score.extra} of them answer no truth. Truth of failed samples counts 0.`)));
  });
  const label = (name) => index.columns.find((one) => one.name === name)?.label || name;
  parts.push(el("section", { className: "block" }, el("h2", {}, "Suspicion"),
    el("p", {}, `A sample's suspicion is that of its most suspicious mask: ${index.rule.bias} plus each figure below (peak and attention: its base-2 logarithm), less its mean, over its deviation, times its weight. It is the log-odds of a wrong mask on the drawn scenes that the rule was fitted on (${index.rule.fitted_on}); on other data read it as an order.`),
    el("table", {}, el("thead", {}, el("tr", {}, ...["figure", "mean", "deviation", "weight"].map((one, at) => el("th", { scope: "col", className: at ? "n" : "" }, one)))),
      el("tbody", {}, ...index.rule.terms.map((one) => el("tr", {}, el("th", { scope: "row" }, label(one.figure)), ...[one.mean, one.deviation, one.weight].map((value) => el("td", { className: "n" }, String(value)))))))));
  parts.push(...index.provenance.map((stages, i) => el("section", { className: "block" }, el("h2", {}, `What ${index.experiments[i]} was made by`), provenanceTable(stages))));
  page.main.replaceChildren(el("div", { className: "reading" }, ...parts));
}

const provenanceView = () => el("details", { className: "fold" }, el("summary", {}, "What it was made by"),
  ...page.index.provenance.map((stages, i) => el("div", {}, page.index.provenance.length > 1 ? el("h3", {}, page.index.experiments[i]) : null, provenanceTable(stages))));

function provenanceTable(stages) {
  return el("div", {}, ...stages.map((one) => el("details", { className: "fold" },
    el("summary", {}, `${one.stage} · version ${one.version}`, el("code", { className: "soft" }, ` ${one.fingerprint.slice(0, 12)}`)),
    el("pre", { tabIndex: 0 }, one.recipe),
    ...one.models.map((model) => el("p", {}, el("b", {}, model.name), " ", el("bdi", {}, model.id), model.revision ? ` at ${model.revision}` : "", el("br"), el("code", {}, `sha256 ${model.sha256}`))))));
}

const KEYS = [
  ["/", "to the filter"], ["j, k", "next, previous sample of the filter"], ["arrows, Enter", "move in the gallery, open"], ["Escape", "back: word, phrase, gallery"],
  ["m, p, t", "masks, points, truth"], ["s", "the map smooth, or its cells"], ["[ ]", "the map weaker, stronger"], ["w, W", "next, previous word"], ["1 … 9", "a phrase"],
  ["g, b, n", "mark as good, as bad; note"], ["?", "this"],
];
const EXAMPLES = [
  ["red disk", "both in the text, id or file name"], ["word:disk", "a whole word of the text"], ['phrase:"a red disk"', "part of a phrase"], ["iou<.5  miou:.2..0.4", "a number (every column has its name)"],
  ["tag:small  split:test", ""], ["file:kitchen  id:0012", "part of a name"], ["is:failed  stage:segment", ""], ["mark:bad  mark:none  note:edge", "your marks"], ["-tag:small", "not"],
];

function fillHelp(dialog) {
  const list = (pairs) => el("dl", {}, ...pairs.flatMap(([key, text]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, text)]));
  dialog.replaceChildren(el("h2", { id: "help-title" }, "Keys"), list(KEYS), el("h2", {}, "Filters"), list(EXAMPLES),
    el("p", { className: "soft" }, `Numbers: ${page.index.columns.map((one) => one.name).join(", ")}.`),
    el("p", {}, el("button", { type: "button", onclick: () => dialog.close() }, "Close")));
}
