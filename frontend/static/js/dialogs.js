// Dialogs come from the server: a link with `hx-target="#dialog"` fills the page's one <dialog>, which then opens.
const dialog = document.getElementById("dialog");

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target !== dialog) return;
  if (!dialog.open) dialog.showModal();
  const first = dialog.querySelector("[aria-invalid='true'], [autofocus]") ?? dialog.querySelector("input:not([type=hidden])");
  first?.focus();
});

document.addEventListener("click", (event) => {
  // A dialog that is a page of its own is left by the link.
  if (dialog.open && event.target.closest("[data-close]")) {
    event.preventDefault();
    dialog.close();
  }
});
dialog.addEventListener("close", () => dialog.replaceChildren());
