// The microphone as a stream of samples at the device's own rate. Nothing is done to the sound: no echo cancelling, no
// noise suppression, no automatic gain, for a device in the field does none of it either.

const AS_IT_IS = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
const REMEDIES = {
  NotAllowedError: "The browser may not use the microphone. Allow it by the icon beside the address, then press Record again.",
  NotFoundError: "No microphone was found. Plug one in, then press Record again.",
  NotReadableError: "The microphone does not answer; another program may hold it. Close that program, then press Record again.",
  OverconstrainedError: "The chosen microphone is gone. Choose another one, then press Record again.",
};

// Why there can be no microphone on this page, or "".
export function obstacle() {
  if (!isSecureContext) {
    return "Browsers give the microphone to pages from https or localhost alone, and this page came by plain http. Open "
      + "Edgewise on the server itself as http://localhost, or ask the operator to serve it by https.";
  }
  return navigator.mediaDevices && window.AudioWorkletNode ? "" : "This browser cannot record. Use a current Firefox, Chrome, Edge or Safari.";
}

// Opens the microphone; `take` gets blocks of samples. Errors carry a sentence for people.
export async function open(worklet, deviceId, take) {
  const trouble = obstacle();
  if (trouble) throw new Error(trouble);
  let stream;
  try {
    const audio = deviceId ? { ...AS_IT_IS, deviceId: { exact: deviceId } } : AS_IT_IS;
    stream = await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw new Error(REMEDIES[error.name] ?? `The microphone cannot be used: ${error.message}.`);
  }
  // A context of another rate, by default that of the loudspeaker, would resample.
  const [track] = stream.getAudioTracks();
  const { sampleRate } = track.getSettings();
  const context = new AudioContext(sampleRate ? { sampleRate } : {});
  await context.audioWorklet.addModule(worklet);
  const recorder = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  recorder.port.onmessage = ({ data }) => take(data);
  context.createMediaStreamSource(stream).connect(recorder);
  await context.resume();
  return {
    rate: context.sampleRate,
    track,
    close() {
      for (const track of stream.getTracks()) track.stop();
      context.close();
    },
  };
}

export async function microphones() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "audioinput" && device.deviceId);
}
