// A script that starts a sound, and what is said when it cannot be heard.
import { say } from "./messages.js";

export async function play(audio) {
  try {
    await audio.play();
  } catch (error) {
    // Stopped, or taken off the page, before its first bytes came: nobody waits for it any more.
    if (error.name === "AbortError") return;
    audio.pause(); // or it counts as playing
    say(`“${audio.getAttribute("aria-label")}” cannot be played. It may have been deleted, or the server cannot be reached. Reload the page, then try again.`);
  }
}
