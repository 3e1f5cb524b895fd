// What pictures of a clip share: they fetch the sound of the <audio> beside them when they come into view.
export const HIGHEST_HZ = 8000;

const sounds = new WeakMap();

// The samples of a clip at 16 kHz. Several pictures of one clip fetch and decode it once.
function soundOf(audio) {
  if (!sounds.has(audio)) sounds.set(audio, decoded(audio.src));
  return sounds.get(audio);
}

async function decoded(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`No sound (${answer.status})`);
  const context = new OfflineAudioContext(1, 1, 2 * HIGHEST_HZ);
  return (await context.decodeAudioData(await answer.arrayBuffer())).getChannelData(0);
}

export class ClipPicture extends HTMLElement {
  connectedCallback() {
    this.watcher = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) return;
      this.watcher.disconnect();
      this.draw();
    });
    this.watcher.observe(this);
  }

  disconnectedCallback() {
    this.watcher.disconnect();
  }

  async draw() {
    try {
      this.paint(await soundOf(this.parentElement.querySelector("audio")));
    } catch (error) {
      this.textContent = error.message;
    }
  }

  canvas(name, width, height) {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", name);
    this.replaceChildren(canvas);
    return canvas;
  }
}
