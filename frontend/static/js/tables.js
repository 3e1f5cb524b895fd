// Columns with a button in their heading sort: numbers by `data-value`, words by the alphabet.
const keyOf = (row, column) => {
  const cell = row.cells[column];
  return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
};

document.addEventListener("click", (event) => {
  const heading = event.target.closest("table[data-sortable] th:has(button)");
  if (!heading) return;
  const table = heading.closest("table");
  const column = heading.cellIndex;
  const down = heading.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    const [x, y] = [keyOf(a, column), keyOf(b, column)];
    return (typeof x === "number" ? x - y : x.localeCompare(y)) * (down ? -1 : 1);
  });
  table.tBodies[0].append(...rows);
});
