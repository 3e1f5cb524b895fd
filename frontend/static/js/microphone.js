// The microphone as a stream of samples, at the device's own rate or another. Nothing is done to the sound: no echo
// cancelling, no noise suppression, no automatic gain, for a device in the field does none of it either.

const AS_IT_IS = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
const REMEDIES = {
  NotAllowedError: "The browser may not use the microphone. Allow it by the icon beside the address, then try again.",
  NotFoundError: "No microphone was found. Plug one in, then try again.",
  NotReadableError: "The microphone does not answer; another program may hold it. Close that program, then try again.",
  OverconstrainedError: "The chosen microphone is gone. Choose another one, then try again.",
};

// Why there can be no microphone on this page, or "".
export function obstacle() {
  if (!isSecureContext) {
    return "Browsers give the microphone to pages from https or localhost alone, and this page came by plain http. Open "
      + "Edgewise on the server itself as http://localhost, or ask the operator to serve it by https.";
  }
  return navigator.mediaDevices && window.AudioWorkletNode ? "" : "This browser cannot hear a microphone. Use a current Firefox, Chrome, Edge or Safari.";
}

// Opens the microphone; `take` gets blocks of samples, at `rate` where one is asked for. Errors carry a sentence for
// people.
export async function open(worklet, deviceId, take, rate) {
  const trouble = obstacle();
  if (trouble) throw new Error(trouble);
  let stream;
  try {
    const audio = deviceId ? { ...AS_IT_IS, deviceId: { exact: deviceId } } : AS_IT_IS;
    stream = await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw new Error(REMEDIES[error.name] ?? `The microphone cannot be used: ${error.message}.`);
  }
  // A context resamples the microphone to its own rate, which by default is that of the loudspeaker.
  const [track] = stream.getAudioTracks();
  const sampleRate = rate ?? track.getSettings().sampleRate;
  const context = new AudioContext(sampleRate ? { sampleRate } : {});
  const close = () => {
    for (const track of stream.getTracks()) track.stop();
    context.close();
  };
  try {
    await context.audioWorklet.addModule(worklet);
    const recorder = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    recorder.port.onmessage = ({ data }) => take(data);
    context.createMediaStreamSource(stream).connect(recorder);
    await context.resume();
  } catch (error) {
    close();
    if (error.name !== "NotSupportedError") throw error;
    throw new Error(`This browser hears the microphone at its own rate alone (Firefox does), and ${sampleRate.toLocaleString("en")} Hz are needed. Use Chrome, Edge or Safari.`);
  }
  return { rate: context.sampleRate, track, close };
}

// Lists the microphones in the select of `place`, which hides where there is no choice; `track` is the one in use.
export async function offer(place, track) {
  const devices = await navigator.mediaDevices.enumerateDevices();
  const found = devices.filter((device) => device.kind === "audioinput" && device.deviceId);
  const { deviceId } = track.getSettings();
  place.querySelector("select").replaceChildren(
    ...found.map(({ label, deviceId: id }) => new Option(label || "Microphone", id, false, id === deviceId)),
  );
  place.hidden = found.length < 2;
}
