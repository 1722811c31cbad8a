// A range of windows is selected with the mouse (press, drag, release) or with keys (arrows, Space at both ends).
"use strict";

// In the order of time; on the page the newest row comes first.
function cellsOf(calendar) {
  const at = (cell) => Date.parse(cell.dataset.start.replace(" ", "T"));
  return [...calendar.querySelectorAll("button.cell")].sort((one, two) => at(one) - at(two));
}

function mark(calendar, one, two) {
  const cells = cellsOf(calendar);
  const [first, last] = [cells.indexOf(one), cells.indexOf(two)].sort((a, b) => a - b);
  cells.forEach((cell, index) => cell.setAttribute("aria-pressed", String(index >= first && index <= last)));
  const form = document.getElementById(calendar.dataset.fills);
  form.elements.start.value = cells[first].dataset.start;
  form.elements.end.value = cells[last].dataset.end;
  const told = calendar.querySelector("[data-told]");
  const became = new Set(cells.slice(first, last + 1).flatMap((cell) => cell.getAttribute("aria-label").split(": ").pop().split(", ")));
  const why = became.has("skipped") && calendar.dataset.skipped ? ` ${calendar.dataset.skipped}.` : "";
  told.textContent = `Selected ${cells[first].dataset.start} to ${cells[last].dataset.end}: ${[...became].join(", ")}.${why}`;
}

function reach(calendar, cell) {
  cellsOf(calendar).forEach((one) => { one.tabIndex = one === cell ? 0 : -1; });
  cell.focus();
}

function neighbour(calendar, cell, key) {
  const cells = cellsOf(calendar);
  const at = cells.indexOf(cell);
  const rows = [...calendar.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("button.cell")]).filter((row) => row.length);
  const row = rows.findIndex((one) => one.includes(cell));
  const column = rows[row].indexOf(cell);
  if (key === "ArrowRight") return cells[at + 1];
  if (key === "ArrowLeft") return cells[at - 1];
  if (key === "ArrowDown") return rows[row + 1]?.[Math.min(column, rows[row + 1].length - 1)];
  if (key === "ArrowUp") return rows[row - 1]?.[Math.min(column, rows[row - 1].length - 1)];
  if (key === "Home") return rows[row][0];
  if (key === "End") return rows[row][rows[row].length - 1];
  return undefined;
}

function start(calendar) {
  let anchor = null;
  let dragging = false;
  const choose = (cell) => {
    if (anchor) { mark(calendar, anchor, cell); anchor = null; } else { anchor = cell; mark(calendar, cell, cell); }
  };
  calendar.addEventListener("pointerdown", (event) => {
    const cell = event.target.closest("button.cell");
    if (!cell || event.button !== 0) return;
    if (event.shiftKey && anchor) { mark(calendar, anchor, cell); return; }
    dragging = true;
    anchor = cell;
    mark(calendar, cell, cell);
    if (event.target.hasPointerCapture?.(event.pointerId)) event.target.releasePointerCapture(event.pointerId);
  });
  calendar.addEventListener("pointerover", (event) => {
    const cell = event.target.closest("button.cell");
    if (dragging && cell && anchor) mark(calendar, anchor, cell);
  });
  document.addEventListener("pointerup", (event) => {
    if (!dragging) return;
    dragging = false;
    const cell = event.target.closest?.("button.cell");
    if (cell && cell !== anchor) anchor = null;
  });
  calendar.addEventListener("keydown", (event) => {
    const cell = event.target.closest("button.cell");
    if (!cell) return;
    if (event.key === " " || event.key === "Enter") { event.preventDefault(); choose(cell); return; }
    const next = neighbour(calendar, cell, event.key);
    if (!next) return;
    event.preventDefault();
    reach(calendar, next);
    if (anchor) mark(calendar, anchor, next);
  });
  const cells = cellsOf(calendar);
  cells.forEach((cell, index) => { cell.tabIndex = index === cells.length - 1 ? 0 : -1; });
}

document.querySelectorAll(".calendar[data-fills]").forEach(start);
