"use strict";
// The first number of a cell; cells without one sort last, whichever way.
function key(cell) {
  const text = cell.dataset.sort ?? cell.textContent;
  const plain = text.replace(/\u2212/g, "-").replace(/^[(+\s]+/, "");
  const number = parseFloat(plain.replace(/(\d)[ \u202f](?=\d{3}\b)/g, "$1"));
  if (Number.isNaN(number)) return text.trim() === "" || text.trim() === "–" ? null : text.trim();
  const power = /\)e(-?\d+)/.exec(plain);
  return power ? number * 10 ** Number(power[1]) : number;
}
function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en");
}
function sortable(table) {
  const head = table.tHead;
  if (!head || table.tBodies.length === 0) return;
  [...head.rows[0].cells].forEach((cell, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...cell.childNodes);
    cell.append(button);
    button.addEventListener("click", () => {
      const down = cell.getAttribute("aria-sort") === "ascending";
      for (const other of head.rows[0].cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [key(row.cells[column]), row]);
      rows.sort((a, b) => compare(a[0], b[0], down ? -1 : 1));
      body.append(...rows.map((r) => r[1]));
    });
  });
}
const numbers = JSON.parse(document.getElementById("numbers").textContent);
const metric = document.getElementById("metric");
const what = document.getElementById("what");
for (const m of numbers.metrics) metric.add(new Option(m.key, m.key));
function explore() {
  const chosen = numbers.metrics.find((m) => m.key === metric.value);
  if (!chosen) return;
  document.getElementById("about-metric").textContent = chosen.about;
  const table = document.getElementById("explore");
  table.replaceChildren();
  const head = table.createTHead().insertRow();
  for (const name of ["", ...numbers.models]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const data of numbers.data) {
    const cells = chosen.cells[data];
    if (!cells) continue;
    const row = body.insertRow();
    row.insertCell().textContent = data;
    for (const model of numbers.models) {
      const cell = row.insertCell();
      const value = cells[model];
      cell.textContent = value ? value[Number(what.value)] : "–";
      if (value && what.value === "0") {
        if (value[1] !== null) cell.dataset.sort = value[1];
        if (value[4]) cell.className = "best";
      }
    }
  }
  sortable(table);
}
metric.addEventListener("change", explore);
what.addEventListener("change", explore);
explore();
document.querySelectorAll("main .scroll > table:not(#explore)").forEach(sortable);
document.querySelectorAll("figure img").forEach((image) => {
  image.addEventListener("click", () => image.closest("figure").classList.toggle("full"));
});
