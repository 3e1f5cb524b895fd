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

// What htmx could not do is said on the page; nothing fails silently.
const say = (text) => {
  const notice = document.createElement("div");
  notice.className = "notice bad";
  notice.setAttribute("role", "alert");
  notice.textContent = text;
  const place = dialog.open ? dialog.querySelector(".dialog-body") ?? dialog : document.getElementById("messages");
  place.prepend(notice);
  notice.scrollIntoView({ block: "nearest" });
};
document.addEventListener("htmx:sendError", () => say("The server cannot be reached. Check your connection, then try again."));
document.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  if (status === 401 || status === 403) say("You may not do this, or you were signed out. Reload the page and sign in again.");
  else if (status >= 500) say(`The server failed (${status}). Try again; the operator finds the reason in the web log.`);
});
