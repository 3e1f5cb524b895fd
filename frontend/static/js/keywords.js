// <keyword-picker>: check boxes become a searchable list; what is chosen stands above it as chips, in the order of the
// choice, which is the order of the network's outputs. Without scripts the check boxes work as they are.

class KeywordPicker extends HTMLElement {
  connectedCallback() {
    this.boxes = new Map([...this.querySelectorAll("input[type=checkbox]")].map((box) => [box.value, box]));
    this.chosen = JSON.parse(this.getAttribute("chosen") || "[]").filter((word) => this.boxes.has(word));
    this.chips = this.querySelector("[data-chips]");
    this.search = this.querySelector("input[type=search]");
    this.querySelector("[data-tools]").hidden = false;
    // The hidden fields carry the order; boxes would be sent in the order of the list.
    for (const box of this.boxes.values()) box.removeAttribute("name");
    // The search field changes too, and may hold a word.
    this.addEventListener("change", ({ target }) => this.boxes.get(target.value) === target && this.toggle(target));
    this.addEventListener("click", (event) => this.click(event));
    this.search.addEventListener("input", () => this.filter());
    this.search.addEventListener("keydown", (event) => this.enter(event));
    this.draw();
  }

  toggle(box) {
    this.chosen = this.chosen.filter((word) => word !== box.value);
    if (box.checked) this.chosen.push(box.value);
    this.draw();
  }

  shown() {
    return [...this.boxes.values()].filter((box) => !box.closest("label").hidden);
  }

  click(event) {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.remove !== undefined) this.set(this.chosen.filter((word) => word !== button.dataset.remove));
    else if (button.dataset.all !== undefined) {
      this.set([...this.chosen, ...this.shown().map((box) => box.value).filter((word) => !this.chosen.includes(word))]);
    } else if (button.dataset.none !== undefined) this.set([]);
    else return;
    if (!button.isConnected) this.search.focus();
  }

  // "up, Down, left" and Enter chooses all three. What is no word of this data stays in the field, and is said.
  enter(event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const typed = this.search.value.split(/[\s,;]+/).filter(Boolean);
    const named = typed.map((word) => this.named(word)).filter(Boolean);
    const [only, ...others] = this.shown();
    const found = named.length ? named : only && !others.length ? [only.value] : [];
    if (!found.length) return;
    this.set([...new Set([...this.chosen, ...found])]);
    const unknown = named.length ? typed.filter((word) => !this.named(word)) : [];
    this.search.value = unknown.join(", ");
    this.filter();
    this.complain(unknown);
  }

  // Of words that differ in case alone, the one that was typed.
  named(word) {
    if (this.boxes.has(word)) return word;
    return [...this.boxes.keys()].find((one) => one.toLowerCase() === word.toLowerCase());
  }

  complain(unknown) {
    if (!unknown.length) return;
    const place = this.querySelector("[data-nothing]");
    place.textContent = `Not a word of this data: ${unknown.join(", ")}.`;
    place.hidden = false;
  }

  filter() {
    const wanted = this.search.value.toLowerCase().split(/[\s,;]+/).filter(Boolean);
    let any = false;
    for (const [word, box] of this.boxes) {
      const hit = !wanted.length || wanted.some((part) => word.toLowerCase().includes(part));
      box.closest("label").hidden = !hit;
      any ||= hit;
    }
    const nothing = this.querySelector("[data-nothing]");
    nothing.textContent = "No word of this data contains that.";
    nothing.hidden = any;
  }

  set(words) {
    this.chosen = words;
    this.draw();
    this.dispatchEvent(new Event("input", { bubbles: true }));
  }

  draw() {
    for (const [word, box] of this.boxes) box.checked = this.chosen.includes(word);
    this.chips.replaceChildren(...this.chosen.map((word) => this.chip(word)));
    this.querySelector("[data-chosen]").textContent =
      this.chosen.length ? `${this.chosen.length} of ${this.boxes.size} chosen` : "None chosen yet";
    this.querySelector("[data-none]").hidden = !this.chosen.length;
  }

  chip(word) {
    const chip = this.querySelector("template").content.firstElementChild.cloneNode(true);
    chip.querySelector("[data-word]").textContent = word;
    chip.querySelector("input").value = word;
    const button = chip.querySelector("button");
    button.dataset.remove = word;
    button.setAttribute("aria-label", `Remove ${word}`);
    return chip;
  }
}

customElements.define("keyword-picker", KeywordPicker);
