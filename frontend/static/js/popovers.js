// Places menus under their button, and shows the tooltip of what is hovered or focused. Both live in the top layer, so
// that no scrolling table or dialog cuts them off.

const GAP = 4;
const EDGE = 8;

const buttonOf = (menu) => document.querySelector(`[popovertarget="${menu.id}"]`);

function place(popover, anchor, alignEnd) {
  const box = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = popover;
  const left = alignEnd ? box.right - width : box.left;
  const below = box.bottom + GAP;
  const top = below + height > innerHeight - EDGE ? Math.max(EDGE, box.top - GAP - height) : below;
  popover.style.left = `${Math.max(EDGE, Math.min(left, innerWidth - width - EDGE))}px`;
  popover.style.top = `${top}px`;
}

document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (!menu.matches?.(".menu[popover]") || event.newState !== "open") return;
  place(menu, buttonOf(menu), true);
  menu.querySelector("a, button")?.focus();
}, true);

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.(".menu[popover]");
  if (!menu || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
  event.preventDefault();
  const items = [...menu.querySelectorAll("a, button")];
  const next = items.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
  items.at(next % items.length).focus();
});

// A page that scrolls takes its menu along.
addEventListener("scroll", () => {
  const menu = document.querySelector(".menu:popover-open");
  if (menu) place(menu, buttonOf(menu), true);
}, { passive: true });

const tooltip = document.createElement("div");
tooltip.className = "tooltip";
tooltip.popover = "manual";
tooltip.setAttribute("role", "tooltip");
document.body.append(tooltip);
let owner = null;
let waiting = 0;

function show(element) {
  clearTimeout(waiting);
  if (!element) {
    owner = null;
    if (tooltip.matches(":popover-open")) tooltip.hidePopover();
    return;
  }
  if (element === owner) return;
  owner = element;
  tooltip.textContent = element.dataset.tip;
  // Shown anew, it lies above a dialog that was opened meanwhile.
  if (tooltip.matches(":popover-open")) tooltip.hidePopover();
  tooltip.showPopover();
  place(tooltip, element.querySelector("input, select, textarea") ?? element, false);
}

const tipped = (target) => target.closest?.("[data-tip]") ?? null;

document.addEventListener("pointerover", (event) => {
  const element = tipped(event.target);
  clearTimeout(waiting);
  if (event.pointerType === "mouse" && element !== owner) waiting = setTimeout(() => show(element), element ? 350 : 100);
});
document.addEventListener("focusin", (event) => {
  if (event.target.matches(":focus-visible")) show(tipped(event.target));
});
document.addEventListener("focusout", () => show(null));
document.addEventListener("pointerdown", (event) => show(event.pointerType === "touch" ? tipped(event.target) : null));
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !owner) return;
  show(null);
  // The first Escape takes the tooltip away, not the dialog under it.
  event.preventDefault();
  event.stopPropagation();
}, true);
addEventListener("scroll", () => owner && show(null), { passive: true, capture: true });
