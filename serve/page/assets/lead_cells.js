// The cells of the list of leads, as DOM nodes; all texts of the data are text content.

const SVG = "http://www.w3.org/2000/svg";
const SHORT_DIGITS = 3;
const SPARK = { width: 90, height: 24, edge: 2 };

class LeadCells {
  constructor(leads) {
    this.leads = leads;
    this.words = leads.words;
    this.columns = [
      ["lead", (row) => this.lead(row)],
      ["account", (row) => this.plain(leads.text("account", row))],
      ["owner", (row) => this.plain(leads.text("owner", row))],
      ["grade", (row) => this.grade(row)],
      ["score", (row) => this.score(row)],
      ["probability", (row) => this.probability(row)],
      ["value", (row) => this.money(row)],
      ["days", (row) => this.days(row)],
      ["reasons", (row) => this.list(leads.sentences_of(REASON_COLUMNS, row))],
      ["against", (row) => this.list(leads.sentences_of(AGAINST_COLUMNS, row))],
      ["trend", (row) => this.trend(row)],
      ["change", (row) => this.change(row)],
      ["review", (row) => this.plain(leads.text("review", row))],
    ];
  }

  // Whether a column has anything to show, for any lead or for those of a target.
  isUsed(column, target = null) {
    const { leads } = this;
    const any = (...names) => names.some((name) => leads.hasAny(name, target));
    switch (column) {
      case "account": case "owner": return leads[column].length > 0 && any(column);
      // The same day for every lead tells none from another.
      case "review": return leads.review.length > 1 && any("review");
      case "value": return any("value");
      case "days": return any("outcome_days_50");
      case "trend": return any("trend_7d", "trend_30d") || leads.arrays.past_row.length > 0;
      case "change": return any("change_0") || leads.arrays.other_model.some(Boolean);
      default: return true;
    }
  }

  number(value, digits) {
    const [whole, fraction] = Math.abs(value).toFixed(digits).split(".");
    const { decimal, group } = this.leads.numbers;
    const grouped = whole.replace(/\B(?=(\d{3})+$)/g, group);
    return (value < 0 ? "−" : "") + (fraction ? grouped + decimal + fraction : grouped);
  }

  signed(change) {
    return change > 0 ? `+${change}` : change < 0 ? `−${-change}` : "±0";
  }

  fill(key, values) {
    return this.words[key].replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  }

  plain(text) {
    return text === null ? [] : [text];
  }

  small(text, className = "") {
    const element = document.createElement("small");
    element.textContent = text;
    if (className) element.className = className;
    return element;
  }

  list(texts) {
    if (!texts.length) return [];
    const list = document.createElement("ul");
    for (const text of texts) {
      const item = document.createElement("li");
      item.textContent = text;
      list.append(item);
    }
    return [list];
  }

  lead(row) {
    const { leads } = this;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "lead-link";
    button.textContent = leads.ids[row];
    button.dataset.target = leads.targets.find((target) => row < target.first + target.count && row >= target.first).name;
    button.dataset.entity = leads.ids[row];
    const list = leads.text("listed", row, leads.lists);
    return list === null ? [button] : [button, this.small(this.words[list === "explore" ? "explore" : "listed"], "mark")];
  }

  grade(row) {
    const { leads } = this;
    const grade = leads.text("grade", row, leads.grades) || "";
    const previous = leads.text("previous_grade", row, leads.grades);
    const badge = document.createElement("span");
    badge.className = `grade grade-${grade.toLowerCase()}`;
    badge.textContent = grade;
    const nodes = [badge];
    if (previous && previous !== grade) nodes.push(this.small(this.fill("was", { grade: previous })));
    if (leads.arrays.kept[row]) nodes.push(this.small(leads.arrays.at_risk[row] ? this.words.about_to_fall : this.words.kept, "mark"));
    return nodes;
  }

  score(row) {
    const trend = this.leads.value("trend", row);
    const score = this.number(this.leads.value("score", row), 0);
    return trend === null ? [score] : [score, this.small(this.signed(trend), trend > 0 ? "up" : trend < 0 ? "down" : "")];
  }

  probability(row) {
    const { leads } = this;
    const tenths = (name) => this.number(leads.value(name, row) / 10, 1);
    const percent = (text) => leads.numbers.percent.replace("{n}", text);
    const interval = percent(`${tenths("probability_low")}–${tenths("probability_high")}`);
    const cells = [percent(tenths("probability")), this.small(interval)];
    return leads.arrays.little_evidence[row] ? [...cells, this.small(this.words.little, "mark")] : cells;
  }

  // In short form, as PageWords.amount writes it.
  money(row) {
    const value = this.leads.value("value", row);
    return value === null ? [] : [this.amount(value / 10 ** this.leads.value_digits)];
  }

  amount(value) {
    const largest = Math.abs(Number(value.toPrecision(SHORT_DIGITS)));
    const [size, text] = this.leads.units.find(([start]) => largest >= start) ?? this.leads.units.at(-1);
    const whole = String(Math.trunc(largest / size)).length;
    const isSmall = size === 1 && largest > 0 && largest < 10 && largest !== Math.round(largest);
    const digits = size > 1 ? Math.max(0, SHORT_DIGITS - whole) : isSmall ? 2 : 0;
    return text.replace("{n}", this.number(value / size, digits));
  }

  days(row) {
    const [days, late] = ["outcome_days_50", "outcome_days_80"].map((name) => this.leads.value(name, row));
    const write = (number) => this.number(number, 0);
    if (days === null) return [];
    return late === null ? [write(days)] : [write(days), this.small(this.fill("late", { late: write(late) }))];
  }

  trend(row) {
    const nodes = [];
    const history = this.leads.history(row);
    if (history.length > 1) nodes.push(this.spark(history));
    for (const [name, key] of [["trend_7d", "days_7"], ["trend_30d", "days_30"]]) {
      const change = this.leads.value(name, row);
      if (change !== null) nodes.push(this.small(this.fill(key, { change: this.signed(change) })));
    }
    return nodes;
  }

  spark(history) {
    const { width, height, edge } = SPARK;
    const longest = history[0][0] || 1;
    const x = (days) => edge + (width - 2 * edge) * (1 - days / longest);
    const y = (score) => height - edge - ((height - 2 * edge) * score) / 100;
    const points = history.map(([days, score]) => `${x(days).toFixed(1)},${y(score).toFixed(1)}`).join(" ");
    const svg = document.createElementNS(SVG, "svg");
    const line = document.createElementNS(SVG, "polyline");
    const label = this.fill("trail", { nights: history.length, first: history[0][1], last: history.at(-1)[1] });
    const attributes = { class: "spark", role: "img", "aria-label": label, viewBox: `0 0 ${width} ${height}`, width, height };
    for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
    line.setAttribute("points", points);
    svg.append(line);
    return svg;
  }

  change(row) {
    const { leads } = this;
    const texts = [0, 1, 2].flatMap((place) => {
      const reason = leads.text(`change_${place}`, row, leads.sentences);
      return reason === null ? [] : [this.fill(leads.kinds[leads.arrays[`kind_${place}`][row]], { reason })];
    });
    const nodes = this.list(texts);
    return leads.arrays.other_model[row] ? [...nodes, this.small(this.words.other_model, "mark")] : nodes;
  }
}
