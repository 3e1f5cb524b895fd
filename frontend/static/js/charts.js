// <plotly-chart src="…">: a figure from the server, in the colours of the page.
//
// The answer holds data, layout and two templates; which one is used follows the theme. `chart.ready` resolves with the
// document when the figure stands.

const dark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

class PlotlyChart extends HTMLElement {
  connectedCallback() {
    this.theme = () => this.restyle();
    document.addEventListener("themechange", this.theme);
    this.media = matchMedia("(prefers-color-scheme: dark)");
    this.media.addEventListener("change", this.theme);
    this.ready = this.load();
  }

  disconnectedCallback() {
    document.removeEventListener("themechange", this.theme);
    this.media.removeEventListener("change", this.theme);
    Plotly.purge(this);
  }

  async load() {
    const answer = await fetch(this.getAttribute("src"), { headers: { Accept: "application/json" } });
    if (!answer.ok) {
      this.textContent = `The chart could not be loaded (${answer.status}). Reload the page.`;
      throw new Error(`${this.getAttribute("src")}: ${answer.status}`);
    }
    this.document = await answer.json();
    const { data, layout } = this.document;
    this.querySelector("[data-empty]")?.toggleAttribute("hidden", data.some((trace) => trace.x?.length));
    await Plotly.react(this, data, { ...layout, template: this.template() }, this.options());
    return this.document;
  }

  template() {
    return this.document.templates[dark() ? "dark" : "light"];
  }

  restyle() {
    if (this.document) Plotly.relayout(this, { template: this.template() });
  }

  options() {
    const name = this.getAttribute("file-name") ?? "chart";
    return {
      responsive: true,
      displaylogo: false,
      modeBarButtons: [[
        "zoom2d", "resetScale2d",
        { name: "Download as PNG", icon: Plotly.Icons.camera, click: (chart) => Plotly.downloadImage(chart, { format: "png", filename: name, scale: 2 }) },
        { name: "Download as CSV", icon: Plotly.Icons.disk, click: (chart) => save(`${name}.csv`, csv(chart)) },
      ]],
    };
  }
}

customElements.define("plotly-chart", PlotlyChart);

// The rows of all traces, one point on each.
function csv({ data: traces, layout }) {
  const cell = (value) => (/[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  const lines = [["curve", "value", layout.xaxis.title.text.toLowerCase(), "number"].map(cell).join(",")];
  for (const trace of traces) {
    if (trace.type !== "scatter") continue;
    trace.x.forEach((x, index) => lines.push([trace.meta.series, trace.meta.value, x, trace.y[index]].map(cell).join(",")));
  }
  if (lines.length > 1) return lines.join("\n");
  const [first] = traces;
  return first.customdata.map((row) => row.join(",")).join("\n");
}

function save(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
