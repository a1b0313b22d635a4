"use strict";
// The gallery's table: columns in memory, filtered and sorted as numbers of rows.

const BINS = 24;

// The parts of the table, joined.
function joinTable(parts, names) {
  const table = { numbers: {}, count: 0 };
  for (const name of ["id", "text", "file", "split", "tags", "phrases", "stage", "reason", "size"])
    table[name] = parts.flatMap((one) => one[name] || []);
  table.count = table.id.length;
  for (const name of names) {
    const values = new Float64Array(table.count);
    let at = 0;
    for (const part of parts) for (const value of part.numbers[name]) values[at++] = value === null ? NaN : value;
    table.numbers[name] = values;
  }
  const hay = new Array(table.count);
  table.haystack = (row) => (hay[row] ??= `${table.id[row]}\n${table.text[row]}\n${table.file[row]}`.toLowerCase());
  table.rowOf = new Map(table.id.map((id, row) => [id, row]));
  return table;
}

function filterTable(table, terms) {
  const tests = terms.map((term) => compileTerm(term, table));
  const found = [];
  for (let row = 0; row < table.count; row++) if (tests.every((test) => test(row))) found.push(row);
  return found;
}

// Failed samples stand first where the most suspicious ones do; rows without the number stand last.
function sortRows(table, rows, column, order) {
  const turn = order === "up" ? 1 : -1;
  if (column === "id") {
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    return [...rows].sort((a, b) => turn * compare(table.id[a], table.id[b]));
  }
  const values = table.numbers[column];
  const worst = ["suspicion", "disagreement"].includes(column) && order === "down";
  const key = (row) => {
    if (worst && table.stage[row] !== "") return -Infinity;
    return Number.isNaN(values[row]) ? Infinity : turn * values[row];
  };
  const keys = new Float64Array(table.count);
  for (const row of rows) keys[row] = key(row);
  return [...rows].sort((a, b) => keys[a] - keys[b] || a - b);
}

// Counts in equal bins from the least to the largest value of all rows.
function bounds(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? { low, high } : null;
}

function histogram(values, rows, { low, high }) {
  const counts = new Uint32Array(BINS);
  const scale = high > low ? BINS / (high - low) : 0;
  for (const row of rows) {
    const value = values[row];
    if (!Number.isNaN(value)) counts[Math.min(BINS - 1, Math.floor((value - low) * scale))]++;
  }
  return counts;
}

// How often each value occurs, the most frequent first.
function tally(values, rows, most) {
  const counts = new Map();
  for (const row of rows) for (const one of [values[row]].flat()) if (one !== "") counts.set(one, (counts.get(one) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, most);
}
