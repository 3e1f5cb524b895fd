// The operating point: a click on a curve fills the form, and the star follows what the form says.
const chart = document.getElementById("trade-off");
const form = document.getElementById("operating-point-form");

// Axes reach to the star, wherever it goes.
function widened(place) {
  const ranges = {};
  for (const [axis, value] of Object.entries(place)) {
    const [begin, end] = chart.layout[axis].range;
    if (value > end) ranges[`${axis}.range`] = [begin, 1.2 * value];
  }
  return ranges;
}

if (chart) {
  document.addEventListener("htmx:afterSettle", ({ detail: { target } }) => {
    if (target.id !== "operating-errors") return;
    const { perHour, missed, threshold } = document.getElementById("operating-errors").dataset;
    const [x, y] = [Number(perHour), Number(missed)];
    const star = chart.data.findIndex(({ meta }) => meta.series === "chosen");
    Plotly.update(chart, { x: [[x]], y: [[y]], customdata: [[Number(threshold)]] }, widened({ xaxis: x, yaxis: y }), [star]);
  });

  await chart.ready;
  chart.on("plotly_click", ({ points: [{ customdata, data }] }) => {
    if (data.meta.series === "chosen") return;
    form.elements.threshold.value = customdata;
    form.elements.smoothing_ms.value = data.meta.smoothing_ms;
    for (const field of [form.elements.threshold, form.elements.smoothing_ms]) {
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });
}
