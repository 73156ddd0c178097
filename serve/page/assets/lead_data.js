// The leads of the list: their values, search, filters and order. Nothing here touches the page.

const REASON_COLUMNS = ["reason_1", "reason_2", "reason_3"];
const AGAINST_COLUMNS = ["against_1", "against_2", "against_3"];
const NULL_OF = { Uint8Array: 255, Uint16Array: 65535, Uint32Array: 4294967295, Int8Array: -128 };
// Sorting many texts by the language's rules takes seconds.
const MAX_COLLATED = 5000;

class LeadData {
  constructor(columns) {
    Object.assign(this, columns);
    this.lowered = new Map();
    this.orders = new Map();
  }

  // The value of a row, null if it has none.
  value(name, row) {
    const array = this.arrays[name];
    const value = array[row];
    return value === NULL_OF[array.constructor.name] || Number.isNaN(value) ? null : value;
  }

  // The text of a row in a column whose distinct texts are in another list.
  text(name, row, texts = this[name]) {
    const place = this.value(name, row);
    return place === null ? null : texts[place];
  }

  sentences_of(names, row) {
    return names.map((name) => this.text(name, row, this.sentences)).filter((text) => text !== null);
  }

  // The history of a row, oldest first, ending with this night: [days ago, score].
  history(row) {
    const { past_row: rows, past_days: days, past_score: scores } = this.arrays;
    const points = [];
    for (let i = lowerBound(rows, row); i < rows.length && rows[i] === row; i++) points.push([days[i], scores[i]]);
    return points.length ? [...points, [0, this.value("score", row)]] : [];
  }

  // Whether any row has a value, or any of a target.
  hasAny(name, target = null) {
    const array = this.arrays[name];
    const missing = NULL_OF[array.constructor.name];
    const own = target ? array.subarray(target.first, target.first + target.count) : array;
    return own.some((value) => value !== missing && !Number.isNaN(value));
  }

  // The rows of the target that pass all filters, in the order of their probability.
  select(filters) {
    const target = this.targets.find((one) => one.name === filters.target) || this.targets[0];
    const tests = [...this.makeTests(filters), ...this.makeSearch(filters.q.trim().toLowerCase())];
    const rows = [];
    if (!target) return rows;
    for (let row = target.first; row < target.first + target.count; row++) {
      if (tests.every((test) => test(row))) rows.push(row);
    }
    return rows;
  }

  // Other targets with the number of their leads that pass the same filters, where there are any.
  countElsewhere(filters) {
    const others = this.targets.filter((target) => target.name !== filters.target);
    const counts = others.map((target) => [target, this.select({ ...filters, target: target.name }).length]);
    return counts.filter(([, found]) => found);
  }

  label(name) {
    return this.targets.find((target) => target.name === name).label;
  }

  // The row of a lead; -1 if the list has none.
  find(name, entity) {
    const target = this.targets.find((one) => one.name === name);
    const row = target ? this.ids.indexOf(entity, target.first) : -1;
    return row >= 0 && row < target.first + target.count ? row : -1;
  }

  *makeTests({ grade, owner, evidence, show }) {
    const { arrays } = this;
    if (grade) yield equals(arrays.grade, this.grades.indexOf(grade));
    if (owner === "-") yield (row) => this.value("owner", row) === null;
    else if (owner) yield equals(arrays.owner, this.owner.indexOf(owner.slice(1)));
    if (evidence) yield equals(arrays.little_evidence, evidence === "little" ? 1 : 0);
    if (show === "listed") yield (row) => this.value("listed", row) !== null;
    if (show === "pick") yield equals(arrays.listed, 0);
    if (show === "explore") yield equals(arrays.listed, 1);
    if (show === "new_best") yield equals(arrays.new_best, 1);
    if (show === "fallen") yield equals(arrays.fallen, 1);
    if (show === "at_risk") yield equals(arrays.at_risk, 1);
  }

  *makeSearch(text) {
    if (!text) return;
    const ids = this.lower("ids");
    const accounts = this.findTexts("account", text);
    const owners = this.findTexts("owner", text);
    const sentences = this.findTexts("sentences", text);
    const places = [...REASON_COLUMNS, ...AGAINST_COLUMNS].map((name) => this.arrays[name]);
    yield (row) => ids[row].includes(text) || accounts.has(this.arrays.account[row]) || owners.has(this.arrays.owner[row]) || places.some((place) => sentences.has(place[row]));
  }

  lower(name) {
    if (!this.lowered.has(name)) this.lowered.set(name, this[name].map((text) => text.toLowerCase()));
    return this.lowered.get(name);
  }

  findTexts(name, text) {
    const found = new Set();
    this.lower(name).forEach((one, place) => one.includes(text) && found.add(place));
    return found;
  }

  // Sort rows in place; rows without a value come last, equal ones keep the order of probability.
  sort(rows, column, down) {
    const key = this.makeKey(column);
    const keys = new Float64Array(this.ids.length);
    for (const row of rows) keys[row] = key(row) ?? NaN;
    const sign = down ? -1 : 1;
    rows.sort((a, b) => {
      const [x, y] = [keys[a], keys[b]];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
      return sign * (x - y) || a - b;
    });
  }

  makeKey(column) {
    const number = (name) => (row) => this.value(name, row);
    const text = (name, texts) => {
      const order = this.rankTexts(texts);
      return (row) => order[this.value(name, row)];
    };
    const ids = column === "lead" ? this.rankTexts("ids") : null;
    switch (column) {
      case "lead": return (row) => ids[row];
      case "account": case "owner": case "review": return text(column, column);
      case "reasons": return text("reason_1", "sentences");
      case "against": return text("against_1", "sentences");
      case "days": return number("outcome_days_50");
      case "trend": return number("trend_7d");
      case "change": return number("trend");
      // Rows are by probability already, in more digits than are shown.
      case "probability": return (row) => -row;
      default: return number(column);
    }
  }

  // The place of each text in alphabetical order.
  rankTexts(name) {
    if (!this.orders.has(name)) {
      const texts = this[name];
      const collate = texts.length <= MAX_COLLATED ? new Intl.Collator(document.documentElement.lang, { numeric: true }).compare : null;
      const compare = collate || ((a, b) => (a < b ? -1 : a > b ? 1 : 0));
      const sorted = texts.map((text, place) => place).sort((a, b) => compare(texts[a], texts[b]));
      const order = new Float64Array(texts.length);
      sorted.forEach((place, rank) => { order[place] = rank; });
      this.orders.set(name, order);
    }
    return this.orders.get(name);
  }
}

function equals(array, value) {
  return (row) => array[row] === value;
}

// The first place in a sorted array whose value is not below this one.
function lowerBound(array, value) {
  let [low, high] = [0, array.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (array[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
}
