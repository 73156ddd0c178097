// Draws the charts. Expressions are interpreted, since the policy of the page forbids to compile them.

const CHART_CONFIG = {
  background: "transparent",
  font: "system-ui, sans-serif",
  view: { stroke: "transparent" },
  axis: { labelColor: "var(--ink)", titleColor: "var(--ink)", gridColor: "var(--line)", domainColor: "var(--line)", tickColor: "var(--line)" },
  legend: { labelColor: "var(--ink)", titleColor: "var(--ink)" },
  header: { labelColor: "var(--ink)", titleColor: "var(--ink)" },
  title: { color: "var(--ink)" },
};

async function drawChart(element) {
  const spec = await readBlock("chart-" + element.dataset.chart);
  const options = { ast: true, actions: false, renderer: "svg", defaultStyle: false, config: CHART_CONFIG, tooltip: { disableDefaultStyle: true } };
  await window.vegaEmbed(element, { $schema: "https://vega.github.io/schema/vega-lite/v6.json", ...spec }, options);
  element.dataset.drawn = "yes";
}

async function startCharts() {
  for (const element of document.querySelectorAll("[data-chart]")) await drawChart(element);
}
