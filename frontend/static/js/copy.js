// <button data-copy="id of what to copy">
const SAID_MILLISECONDS = 2000;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  button.dataset.words ??= button.textContent;
  button.textContent = await copy(document.getElementById(button.dataset.copy));
  setTimeout(() => { button.textContent = button.dataset.words; }, SAID_MILLISECONDS);
});

// Says what was done. Pages from plain http have no clipboard: there the text is selected.
async function copy(source) {
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent.trim());
    return "Copied";
  } catch {
    if (source.select) source.select();
    else getSelection().selectAllChildren(source);
    return "Press Ctrl+C";
  }
}
