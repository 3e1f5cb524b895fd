// The operating point: a click on a curve fills the form, and the star follows what the form says.
const chart = document.getElementById("trade-off");
const form = document.getElementById("operating-point-form");

if (chart) {
  document.addEventListener("htmx:afterSettle", ({ detail: { target } }) => {
    if (target.id !== "operating-errors") return;
    const { perHour, missed, threshold } = document.getElementById("operating-errors").dataset;
    const star = chart.data.findIndex(({ meta }) => meta.series === "chosen");
    Plotly.restyle(chart, { x: [[Number(perHour)]], y: [[Number(missed)]], customdata: [[Number(threshold)]] }, [star]);
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
