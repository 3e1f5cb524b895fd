// The Deploy page shows what belongs to the chosen format.
const select = document.getElementById("field-format");

select?.addEventListener("change", () => {
  for (const part of document.querySelectorAll("[data-format]")) part.hidden = !part.dataset.format.split(" ").includes(select.value);
});
