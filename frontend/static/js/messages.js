// What could not be done is said on the page; nothing fails silently.
export function say(text) {
  const dialog = document.getElementById("dialog");
  const notice = document.createElement("div");
  notice.className = "notice bad";
  notice.setAttribute("role", "alert");
  notice.textContent = text;
  const place = dialog.open ? dialog.querySelector(".dialog-body") ?? dialog : document.getElementById("messages");
  // The same once more moves up instead of piling up.
  for (const earlier of place.querySelectorAll(":scope > .notice")) if (earlier.textContent === text) earlier.remove();
  place.prepend(notice);
  notice.scrollIntoView({ block: "nearest" });
}

document.addEventListener("htmx:sendError", () => say("The server cannot be reached. Check your connection, then try again."));
document.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  if (status === 401 || status === 403) say("You may not do this, or you were signed out. Reload the page and sign in again.");
  else if (status >= 500) say(`The server failed (${status}). Try again; the operator finds the reason in the web log.`);
});
