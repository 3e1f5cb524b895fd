// Forms of parameters: reset to default, and what the server says about the values while they are typed.
//
// A form with `data-live` is previewed by htmx; the answer carries `#form-state`, whose JSON holds
//   errors: {name: sentence}  - the very sentences that the service would answer
//   defaults: {name: text}    - which may follow another field: each network prefers features of its own

const fieldOf = (element) => element.closest(".field[data-name]");
const inputOf = (field) => field.querySelector("[name]");
const valueOf = (input) => (input.type === "checkbox" ? String(input.checked) : input.value);

function setValue(input, text) {
  if (input.type === "checkbox") input.checked = text === "true";
  else input.value = text;
}

function mark(field) {
  field.classList.toggle("changed", valueOf(inputOf(field)) !== field.dataset.default);
}

function setError(field, message) {
  const place = field.querySelector(".error");
  place.textContent = message;
  place.hidden = !message;
  inputOf(field)?.setAttribute("aria-invalid", String(Boolean(message)));
}

document.addEventListener("input", (event) => {
  const field = fieldOf(event.target);
  if (field && field.dataset.default !== undefined) mark(field);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest(".reset");
  if (!button) return;
  const field = fieldOf(button);
  setValue(inputOf(field), field.dataset.default);
  setError(field, "");
  inputOf(field).dispatchEvent(new Event("input", { bubbles: true }));
  inputOf(field).focus();
});

document.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-remove-chip]")?.closest(".chip");
  if (!chip) return;
  const next = chip.nextElementSibling ?? chip.previousElementSibling;
  chip.remove();
  next?.querySelector("button")?.focus();
});

document.addEventListener("htmx:afterSettle", () => {
  const state = document.getElementById("form-state");
  if (!state) return;
  const { errors, defaults } = JSON.parse(state.dataset.state);
  state.remove();
  for (const field of document.querySelectorAll("form[data-live] .field[data-name]")) {
    const { name } = field.dataset;
    if (name in defaults && field.dataset.default !== defaults[name]) {
      const untouched = valueOf(inputOf(field)) === field.dataset.default;
      field.dataset.default = defaults[name];
      if (untouched) setValue(inputOf(field), defaults[name]);
      mark(field);
    }
    setError(field, errors[name] ?? "");
  }
});

// A network of one's own is made further down: its stages unfold and come into view once they can be edited.
document.addEventListener("change", ({ target }) => {
  if (target.id !== "network-custom") return;
  document.querySelector("[data-stages]").open = true;
  document.addEventListener("htmx:afterSettle", () => document.getElementById("stages").scrollIntoView(), { once: true });
});
