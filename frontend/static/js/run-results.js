// The Results tab: what the matrix counts, and the clips behind its cells.
import "./spectrogram.js";
import "./operating-point.js";

const chart = document.getElementById("matrix");

for (const button of document.querySelectorAll("[data-mode]")) {
  button.addEventListener("click", () => {
    Plotly.restyle(chart, { visible: chart.data.map((trace) => trace.meta.mode === button.dataset.mode) });
    for (const other of document.querySelectorAll("[data-mode]")) other.setAttribute("aria-pressed", String(other === button));
  });
}

await chart.ready;
chart.on("plotly_click", ({ points: [point] }) => {
  const address = `${chart.dataset.clips}?label=${point.y}&predicted=${point.x}`;
  htmx.ajax("GET", address, { target: "#clips" }).then(() => document.getElementById("clips").scrollIntoView({ block: "nearest" }));
});
