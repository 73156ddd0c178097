// The card of one lead: opened by the list or by the address, closed by a button, Escape or a click beside it.

const LEAD_HASH = "#lead=";
// Columns of the list that a lead without a card is shown with, in the list's own words.
const ROW_FIGURES = new Set(["account", "owner", "grade", "score", "probability", "days", "reasons", "against", "change", "review"]);
const LONG_FIGURES = new Set(["reasons", "against", "change"]);

class LeadDialog {
  constructor(dialog, content, words, list) {
    Object.assign(this, { dialog, content, words, list, views: [], shown: null, opener: null, hashBefore: "" });
    this.cards = new Map(content.cards.map((card) => [LeadDialog.key(card.target, card.entity), card]));
    // Out of the section, so that paper can leave the page out around it.
    document.body.append(dialog);
    this.listen();
  }

  // No target holds a line feed, so two leads never share a key.
  static key(target, entity) {
    return target + "\n" + entity;
  }

  find(name) {
    return this.dialog.querySelector(name);
  }

  listen() {
    document.addEventListener("open-lead", (event) => this.open(event.detail.target, event.detail.entity));
    window.addEventListener("hashchange", (event) => this.followHash(new URL(event.oldURL).hash));
    document.getElementById("one-lead-close").addEventListener("click", () => this.dialog.close());
    // The dialog's own area is covered by its contents, but for the edges: a click there is one beside it.
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.isBeside(event) && this.dialog.close());
    this.dialog.addEventListener("close", () => this.finish());
    this.followHash("");
  }

  isBeside(event) {
    const box = this.dialog.getBoundingClientRect();
    return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
  }

  followHash(before) {
    const lead = LeadDialog.readHash();
    if (!lead) {
      if (this.dialog.open) this.dialog.close();
      return;
    }
    // Where the last lead was left is no place to return to.
    if (!before.startsWith(LEAD_HASH)) this.hashBefore = before;
    this.open(...lead);
  }

  static readHash() {
    if (!location.hash.startsWith(LEAD_HASH)) return null;
    const parts = location.hash.slice(LEAD_HASH.length).split("/");
    if (parts.length !== 2) return null;
    try {
      return parts.map(decodeURIComponent);
    } catch {
      // A cut address, such as one that ends in a lone %.
      return null;
    }
  }

  async open(target, entity) {
    const key = LeadDialog.key(target, entity);
    if (this.dialog.open && this.shown === key) return;
    this.shown = key;
    if (!this.dialog.open) this.opener = document.activeElement;
    const card = this.cards.get(key);
    this.find("h2").textContent = this.content.words.heading.replace("{entity}", () => entity);
    this.find(".lead-missing").hidden = Boolean(card);
    this.find(".lead-card").hidden = !card;
    this.clearCharts();
    if (card) this.fillCard(card);
    else this.fillMissing(target, entity);
    if (!this.dialog.open) this.dialog.showModal();
    this.find("h2").focus();
    this.dialog.scrollTop = 0;
    // Drawn once the dialog has a width.
    if (card) await this.drawCharts(card);
    this.dialog.dataset.drawn = key;
  }

  finish() {
    this.clearCharts();
    this.shown = null;
    delete this.dialog.dataset.drawn;
    if (location.hash.startsWith(LEAD_HASH)) {
      replaceHash(this.hashBefore);
    }
    if (this.opener && this.opener.isConnected) this.opener.focus();
    this.opener = null;
  }

  // What the list has of a lead without a card.
  fillMissing(target, entity) {
    const { words } = this.content;
    const row = this.list ? this.list.leads.find(target, entity) : -1;
    const leads = row < 0 ? null : this.list.leads;
    const sentence = leads ? words.missing.replace("{target}", () => leads.label(target)) : words.absent;
    this.fillListed(target, leads && leads.text("listed", row, leads.lists));
    // Where ids are personal the page has none, so the text says where to find it.
    const command = words.explain ?? `leadscore explain ${words.config} ${LeadDialog.quote(entity)}`;
    this.find(".lead-missing .sentence").textContent = sentence;
    this.find(".lead-missing .lead-figures").replaceChildren(...(leads ? this.makeRowFigures(row) : []));
    this.find(".lead-missing .note").textContent = words.more.replace("{command}", () => command);
  }

  makeRowFigures(row) {
    return this.list.used.filter(([name]) => ROW_FIGURES.has(name)).flatMap(([name, fill]) => {
      const nodes = fill(row);
      if (!nodes.length) return [];
      const [place, term, text] = ["div", "dt", "dd"].map((element) => document.createElement(element));
      term.textContent = this.list.headings.find((one) => one.dataset.column === name).textContent.trim();
      text.append(...nodes.flatMap((node) => [node, " "]));
      if (LONG_FIGURES.has(name)) place.className = "long";
      place.append(term, text);
      return [place];
    });
  }

  // As a shell takes it; what begins with a dash would be an option.
  static quote(entity) {
    const quoted = /^[\w.@:/+-]+$/.test(entity) ? entity : `'${entity.replaceAll("'", `'\\''`)}'`;
    return entity.startsWith("-") ? `-- ${quoted}` : quoted;
  }

  fillCard(card) {
    this.find(".lead-target").textContent = card.subtitle;
    this.fillListed(card.target, card.listed);
    this.find(".lead-card .lead-figures").replaceChildren(...card.figures.map((figure) => this.makeFigure(figure)));
    this.fillInterval(card.interval);
    this.fillLines(".lead-steps", card.steps.map((step) => step.sentence));
    this.fillLines(".lead-change", card.change);
    this.fillLines(".lead-unknown", card.unknown);
    this.find(".lead-history").textContent = card.history;
    this.find(".lead-events-note").textContent = card.events_note;
    this.find(".lead-events").hidden = !card.events.length;
    this.find(".lead-events tbody").replaceChildren(...card.events.map((event) => this.makeEvent(event)));
  }

  fillListed(target, list) {
    const place = this.find(".lead-listed");
    place.hidden = !list;
    const badge = document.createElement("strong");
    const [name, text] = list ? this.content.words.listed[target][list] : ["", ""];
    badge.textContent = name;
    badge.className = "badge";
    place.replaceChildren(badge, " ", text);
  }

  makeFigure([label, value, hint]) {
    const [place, term, text, small] = ["div", "dt", "dd", "small"].map((name) => document.createElement(name));
    term.textContent = label;
    small.textContent = hint;
    text.append(value, " ", small);
    place.append(term, text);
    return place;
  }

  fillInterval(interval) {
    const place = (share) => `${(100 * share) / interval.end}%`;
    this.find(".lead-range").style.left = place(interval.low);
    this.find(".lead-range").style.width = place(interval.high - interval.low);
    this.find(".lead-point").style.left = place(interval.value);
    const small = document.createElement("small");
    small.textContent = `(${interval.scale})`;
    this.find(".lead-interval").replaceChildren(`${interval.text} ${interval.hint} `, small);
  }

  fillLines(name, lines) {
    this.find(name).replaceChildren(
      ...lines.map((line) => {
        const item = document.createElement("li");
        item.textContent = line;
        return item;
      }),
    );
  }

  makeEvent(event) {
    const row = document.createElement("tr");
    row.append(
      ...event.map((text, place) => {
        const cell = document.createElement(place ? "td" : "th");
        if (!place) cell.scope = "row";
        if (place === 3) cell.className = "number";
        cell.textContent = text;
        return cell;
      }),
    );
    return row;
  }

  async drawCharts(card) {
    const { charts } = this.content;
    const { steps } = card;
    const nights = card.nights.map((night) => this.readNight(night));
    const addsUp = steps.length && steps[0].kind === "typical";
    const stepsSpec = addsUp ? charts.waterfall : charts.effects;
    const drawings = [
      ["steps", { ...stepsSpec, height: charts.step_height * steps.length }, steps],
      ["history", nights.some((night) => night.model) ? charts.model_history : charts.history, nights],
    ];
    for (const [name, spec, rows] of drawings) {
      const element = this.find(`[data-lead-chart=${name}]`);
      element.hidden = !rows.length;
      if (!rows.length) continue;
      const view = await drawChart(element, { ...spec, data: { values: rows } }, this.words);
      // Another lead may have been opened while this one was drawn.
      if (this.shown === LeadDialog.key(card.target, card.entity)) this.views.push(view);
      else view.finalize();
    }
  }

  readNight([time, probability, low, high, score, grade, version]) {
    const model = version === null ? null : this.content.words.model.replace("{version}", () => version);
    return { time, probability, low, high, score, grade, model };
  }

  clearCharts() {
    for (const view of this.views) view.finalize();
    this.views = [];
    for (const element of this.dialog.querySelectorAll("[data-lead-chart]")) element.replaceChildren();
  }
}

async function startOneLead(words, list) {
  const dialog = document.getElementById("one-lead");
  const content = await readBlock("lead-cards");
  if (dialog && content) new LeadDialog(dialog, content, words, list);
}
