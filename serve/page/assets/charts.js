// Draws the charts. Expressions are interpreted, since the policy of the page forbids to compile them.
// Colours are variables of the page's style, so a change of theme needs no new drawing.

const CHART_CONFIG = {
  background: "transparent",
  padding: 4,
  view: { stroke: "transparent" },
  axis: {
    labelColor: "var(--ink)", titleColor: "var(--soft)", gridColor: "var(--grid)", domainColor: "var(--line)", tickColor: "var(--line)",
    labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelLimit: 220, labelOverlap: true, labelSeparation: 8,
  },
  legend: { labelColor: "var(--ink)", titleColor: "var(--soft)", labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", orient: "top", labelLimit: 260 },
  header: { labelColor: "var(--ink)", titleColor: "var(--soft)", labelFontSize: 12 },
  title: { color: "var(--ink)", fontSize: 13, anchor: "start" },
  text: { color: "var(--ink)", fontSize: 12 },
  rule: { color: "var(--soft)" },
  bar: { color: "var(--series-1)" },
  line: { color: "var(--series-1)", strokeWidth: 2 },
  point: { color: "var(--series-1)", filled: true, size: 50 },
  area: { color: "var(--band)", opacity: 0.2 },
  range: { category: ["var(--series-1)", "var(--series-2)", "var(--series-3)", "var(--series-4)"] },
};

// Pixels below which a chart is drawn for a phone.
const NARROW = 480;

// How d3 writes numbers and dates in the page's language.
function chartLocale(words) {
  const names = (options, dates) => dates.map((date) => new Intl.DateTimeFormat(words.language, { timeZone: "UTC", ...options }).format(date));
  const days = Array.from({ length: 7 }, (_, i) => Date.UTC(2023, 0, 1 + i));
  const months = Array.from({ length: 12 }, (_, i) => Date.UTC(2023, i, 15));
  return {
    formatLocale: { decimal: words.numbers.decimal, thousands: words.numbers.group, grouping: [3], currency: ["", ""], percent: words.numbers.percent.replace("{n}", "") },
    timeFormatLocale: {
      dateTime: "%Y-%m-%d %H:%M", date: "%Y-%m-%d", time: "%H:%M", periods: ["AM", "PM"],
      days: names({ weekday: "long" }, days), shortDays: names({ weekday: "short" }, days),
      months: names({ month: "long" }, months), shortMonths: names({ month: "short" }, months),
    },
  };
}

// A single view takes the width of its place; views side by side have widths of their own.
function sizeChart(spec) {
  const single = !spec.hconcat && !spec.concat && !spec.facet && !(spec.encoding && (spec.encoding.row || spec.encoding.column));
  return single ? { width: "container", ...spec } : spec;
}

function stackLegends(spec) {
  return JSON.parse(JSON.stringify(spec), (key, value) => (key === "legend" && value ? { ...value, columns: 1 } : value));
}

async function drawChart(element, spec, words) {
  // A real font, since the library measures texts by it.
  const config = { ...CHART_CONFIG, font: getComputedStyle(document.body).fontFamily };
  // A phone is too narrow for the names of a legend side by side, or for long names next to bars.
  const isNarrow = element.clientWidth < NARROW;
  if (isNarrow) config.axis = { ...config.axis, labelLimit: 130 };
  const options = {
    ast: true, actions: false, renderer: "svg", defaultStyle: false, config,
    tooltip: { disableDefaultStyle: true }, ...chartLocale(words),
  };
  const schema = "https://vega.github.io/schema/vega-lite/v6.json";
  const drawn = await window.vegaEmbed(element, { $schema: schema, ...sizeChart(isNarrow ? stackLegends(spec) : spec) }, options);
  // The text alternative is the element's own; without this a reader would hear every mark.
  element.querySelector("svg").setAttribute("aria-hidden", "true");
  return drawn.view;
}

async function startCharts(words) {
  for (const element of document.querySelectorAll("[data-chart]")) {
    await tryPart(async () => drawChart(element, await readBlock("chart-" + element.dataset.chart), words));
  }
}
