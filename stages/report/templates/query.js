"use strict";
// The filter: words and terms such as  iou<.5  word:circle  phrase:"red disk"  tag:small  -split:test  is:failed

const TERM = /(-)?(?:([A-Za-z_]+)(:|<=|>=|<|>|=))?("[^"]*"|\S+)/g;
const TEXT_KEYS = ["word", "phrase", "tag", "split", "stage", "reason", "file", "id", "text", "mark", "note", "is"];

// Terms of a query; a complaint where one makes no sense.
function parseQuery(query, numbers) {
  const terms = [];
  for (const [all, minus, key, sign, raw] of query.matchAll(TERM)) {
    const value = raw.startsWith('"') && raw.endsWith('"') && raw.length > 1 ? raw.slice(1, -1) : raw;
    const term = { all, negated: Boolean(minus), key, sign, value };
    if (numbers.includes(key)) {
      const [low, high] = sign === ":" && value.includes("..") ? value.split("..").map(Number) : [Number(value), Number(value)];
      if (value === "" || Number.isNaN(low) || Number.isNaN(high)) return { terms, complaint: `“${all}”: ${value} is no number.` };
      Object.assign(term, { low, high });
    } else if (key !== undefined && !TEXT_KEYS.includes(key)) {
      return { terms, complaint: `“${all}”: there is no column ${key}. Columns: ${[...TEXT_KEYS, ...numbers].join(", ")}.` };
    } else if (key !== undefined && sign !== ":" && sign !== "=") {
      return { terms, complaint: `“${all}”: ${key} is text; write ${key}:${value}.` };
    }
    terms.push(term);
  }
  return { terms, complaint: "" };
}

// A term as a function of a row's number.
function compileTerm(term, table) {
  const { key, sign, value } = term;
  const wanted = value.toLowerCase();
  const values = key !== undefined && table.numbers[key];
  let test;
  if (values) {
    const { low, high } = term;
    const tests = {
      "<": (row) => values[row] < low,
      "<=": (row) => values[row] <= low,
      ">": (row) => values[row] > low,
      ">=": (row) => values[row] >= low,
      ":": (row) => values[row] >= low && values[row] <= high,
      "=": (row) => values[row] === low,
    };
    test = tests[sign];
  } else if (key === undefined) {
    test = (row) => table.haystack(row).includes(wanted);
  } else if (key === "word") {
    const own = new RegExp(`(^|[^\\p{L}\\p{N}])${value.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}($|[^\\p{L}\\p{N}])`, "iu");
    test = (row) => own.test(table.text[row]);
  } else if (key === "phrase") {
    test = (row) => table.phrases[row].some((one) => one.toLowerCase().includes(wanted));
  } else if (key === "tag") {
    test = (row) => table.tags[row].some((one) => one.toLowerCase() === wanted);
  } else if (key === "split" || key === "stage") {
    test = (row) => table[key][row].toLowerCase() === wanted;
  } else if (key === "is") {
    const tests = { failed: (row) => table.stage[row] !== "", done: (row) => table.stage[row] === "" };
    test = tests[wanted] || (() => false);
  } else if (key === "mark") {
    test = (row) => (markOf(table.id[row]).mark || "none") === wanted;
  } else if (key === "note") {
    test = (row) => (markOf(table.id[row]).note || "").toLowerCase().includes(wanted);
  } else {
    test = (row) => table[key][row].toLowerCase().includes(wanted);
  }
  return term.negated ? (row) => !test(row) : test;
}

const quoted = (value) => (/^[^\s"]+$/.test(value) ? value : `"${value.replace(/"/g, "")}"`);

// The query with a term put in, or taken out where it is there already.
function toggledTerm(query, key, value) {
  const term = `${key}:${quoted(value)}`;
  const terms = [...query.matchAll(TERM)].map(([all]) => all);
  const rest = terms.filter((one) => one !== term);
  return (rest.length === terms.length ? [...rest, term] : rest).join(" ");
}

// The query with another range of a number; null for an open end.
function withRange(query, key, low, high) {
  const rest = [...query.matchAll(TERM)].filter(([, minus, name]) => minus || name !== key).map(([all]) => all);
  if (low !== null) rest.push(`${key}>=${low}`);
  if (high !== null) rest.push(`${key}<=${high}`);
  return rest.join(" ");
}

// The range of a number that the query asks for.
function rangeOf(terms, key) {
  let low = null;
  let high = null;
  for (const term of terms.filter((one) => one.key === key && !one.negated)) {
    if (term.sign === ":" || term.sign === "=") [low, high] = [term.low, term.high];
    else if (term.sign.startsWith(">")) low = term.low;
    else high = term.low;
  }
  return { low, high };
}
