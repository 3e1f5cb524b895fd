// "Play all" plays the training examples one after the other; without scripts each has its own player.
import { play } from "./player.js";

const players = () => [...document.querySelectorAll("#heard audio")];
let waiting = [];

const playNext = () => {
  const next = waiting.shift();
  if (next) play(next);
};
const showButton = () => document.querySelector("[data-play-all]")?.removeAttribute("hidden");

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-play-all]")) return;
  waiting = players();
  playNext();
});

// Media events do not bubble, but they can be caught on their way down.
document.addEventListener("play", ({ target }) => {
  for (const player of players()) {
    if (player !== target) player.pause();
    player.closest("li").classList.toggle("playing", player === target);
  }
}, true);
document.addEventListener("ended", ({ target }) => {
  target.closest("li").classList.remove("playing");
  playNext();
}, true);

document.addEventListener("htmx:afterSettle", showButton);
showButton();
