// The list of leads: filters, headings that sort, pages, and opening a lead.

const PAGE_ROWS = 50;
// Cards of a phone are long; the width is that of lead_list.css.
const PHONE_ROWS = 10;
const PHONE = matchMedia("(max-width: 40rem)");
const HASH_START = "#list?";
const FILTERS = ["q", "target", "show", "grade", "owner", "evidence"];
const DEFAULT_SORT = "probability";
// Columns that are read from the best or largest down; the others from A to Z, or the largest loss first.
const FALLING = new Set(["score", "probability", "value", "trend"]);

class LeadList {
  constructor(leads, table, form) {
    Object.assign(this, { leads, table, form, cells: new LeadCells(leads), page: 0, sort: DEFAULT_SORT, down: true });
    this.headings = [...table.querySelectorAll("thead th")];
    this.used = this.cells.columns.filter(([name]) => this.cells.isUsed(name));
    this.sorts = this.nameSorts();
    this.fillChoices();
    this.readHash();
    this.listen();
    this.update();
  }

  // What the list can be sorted by, with its name: the columns, and the change that one of them explains.
  nameSorts() {
    const names = new Set(this.used.map(([name]) => name));
    const sorts = new Map();
    for (const heading of this.headings) {
      heading.hidden = !names.has(heading.dataset.column);
      if (!heading.hidden) sorts.set(heading.dataset.column, heading.textContent.trim());
    }
    if (this.leads.hasAny("trend")) sorts.set("change", this.leads.words.score_change);
    return sorts;
  }

  fillChoices() {
    const { leads, form } = this;
    form.elements.target.append(...leads.targets.map((target) => new Option(target.label, target.name)));
    form.elements.target.closest("p").hidden = leads.targets.length < 2;
    // A first character tells an owner's name from the choices "all" and "nobody".
    const owners = [...leads.owner].sort((a, b) => a.localeCompare(b));
    form.elements.owner.append(...owners.map((owner) => new Option(owner, "=" + owner)), new Option(leads.words.nobody, "-"));
    form.elements.owner.closest("p").hidden = !owners.length;
    form.elements.sort.append(...[...this.sorts].map(([name, text]) => new Option(text, name)));
    form.elements.sort.value = this.sort;
  }

  listen() {
    const { form } = this;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", (event) => {
      if (event.target === form.elements.sort) this.sortBy(form.elements.sort.value);
      else this.show(0);
    });
    // After the reset has taken effect.
    form.addEventListener("reset", () => setTimeout(() => this.sortBy(DEFAULT_SORT)));
    for (const heading of this.headings) {
      heading.querySelector("button").addEventListener("click", () => {
        const again = heading.dataset.column === this.sort;
        this.sortBy(heading.dataset.column, again ? !this.down : undefined);
      });
    }
    for (const [id, step] of [["previous-page", -1], ["next-page", 1]]) {
      const button = document.getElementById(id);
      // Not disabled, which would take the focus away.
      button.addEventListener("click", () => button.getAttribute("aria-disabled") !== "true" && this.turnPage(step));
    }
    PHONE.addEventListener("change", () => this.show(0));
    this.table.tBodies[0].addEventListener("click", (event) => {
      const link = event.target.closest("tr").querySelector(".lead-link");
      if (!event.target.closest("button") && !String(getSelection())) link.click();
    });
    window.addEventListener("hashchange", () => {
      if (location.hash.startsWith(HASH_START)) {
        this.readHash();
        this.update();
      }
    });
  }

  sortBy(column, down = FALLING.has(column)) {
    Object.assign(this, { sort: column, down });
    this.show(0);
  }

  turnPage(step) {
    this.show(this.page + step);
    document.getElementById("shown").scrollIntoView();
    this.table.closest(".scroll").focus({ preventScroll: true });
  }

  show(page) {
    this.page = page;
    this.update();
    this.writeHash();
  }

  update() {
    const filters = Object.fromEntries(new FormData(this.form));
    this.chooseColumns(this.leads.targets.find((one) => one.name === filters.target));
    const rows = this.leads.select(filters);
    if (this.sort !== DEFAULT_SORT || !this.down) this.leads.sort(rows, this.sort, this.down);
    const size = PHONE.matches ? PHONE_ROWS : PAGE_ROWS;
    const pages = Math.max(1, Math.ceil(rows.length / size));
    this.page = Math.min(Math.max(this.page, 0), pages - 1);
    const first = this.page * size;
    const shown = rows.slice(first, first + size);
    this.table.tBodies[0].replaceChildren(...shown.map((row) => this.makeRow(row)));
    this.markHeadings();
    document.getElementById("previous-page").setAttribute("aria-disabled", this.page === 0);
    document.getElementById("next-page").setAttribute("aria-disabled", this.page === pages - 1);
    this.announce(filters, rows.length, first, shown.length, pages);
  }

  // Another target may have values in other columns.
  chooseColumns(target) {
    this.columns = this.used.filter(([name]) => this.cells.isUsed(name, target));
    const names = new Set(this.columns.map(([name]) => name));
    for (const heading of this.headings) heading.hidden = !names.has(heading.dataset.column);
  }

  markHeadings() {
    this.form.elements.sort.value = this.sort;
    for (const heading of this.headings) {
      if (heading.dataset.column === this.sort) heading.setAttribute("aria-sort", this.down ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    }
  }

  announce(filters, found, first, count, pages) {
    const { cells, leads } = this;
    const target = leads.targets.find((one) => one.name === filters.target);
    const number = (value) => cells.number(value, 0);
    const values = { target: target ? target.label : "", found: number(found), all: number(target ? target.count : 0), first: number(first + 1), last: number(first + count), page: number(this.page + 1), pages: number(pages) };
    const direction = leads.words[this.down ? "down" : "up"];
    const sorted = cells.fill("sorted", { column: `${this.sorts.get(this.sort)}, ${direction}` });
    document.getElementById("shown").textContent = found ? `${cells.fill("found", values)} ${sorted}` : cells.fill("none", values);
    this.offerTargets(found ? [] : leads.countElsewhere(filters));
  }

  // Buttons for the other targets under which the same search and filters find leads.
  offerTargets(counts) {
    const { cells, form } = this;
    const buttons = counts.map(([target, found]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cells.fill("elsewhere", { target: target.label, found: cells.number(found, 0) });
      button.addEventListener("click", () => {
        form.elements.target.value = target.name;
        this.show(0);
        // The button itself is gone.
        form.elements.target.focus();
      });
      return button;
    });
    document.getElementById("elsewhere").replaceChildren(...buttons);
  }

  makeRow(row) {
    const line = document.createElement("tr");
    line.setAttribute("role", "row");
    for (const [name, fill] of this.columns) {
      const heading = this.headings.find((one) => one.dataset.column === name);
      const cell = document.createElement(name === "lead" ? "th" : "td");
      if (name === "lead") cell.scope = "row";
      // As cards on a phone the cells keep their roles only if these are named.
      cell.setAttribute("role", name === "lead" ? "rowheader" : "cell");
      cell.className = heading.className;
      cell.dataset.column = name;
      cell.dataset.label = heading.textContent.trim();
      cell.append(...fill(row).flatMap((node, place) => (place ? [" ", node] : [node])));
      line.append(cell);
    }
    return line;
  }

  // What differs from the first view, so that it can be sent as a link.
  writeHash() {
    const values = new URLSearchParams();
    for (const name of FILTERS) {
      const value = this.form.elements[name].value;
      const isDefault = name === "target" ? value === this.leads.targets[0]?.name : !value;
      if (!isDefault) values.set(name, value);
    }
    if (this.sort !== DEFAULT_SORT || !this.down) values.set("sort", (this.down ? "-" : "") + this.sort);
    if (this.page) values.set("page", this.page + 1);
    // Not its size, which Safari has from version 17 on.
    const text = values.toString();
    if (text || location.hash.startsWith(HASH_START)) replaceHash(text && HASH_START + text);
  }

  readHash() {
    if (!location.hash.startsWith(HASH_START)) return;
    const values = new URLSearchParams(location.hash.slice(HASH_START.length));
    this.form.reset();
    for (const name of FILTERS.filter((one) => values.has(one))) {
      const [field, value] = [this.form.elements[name], values.get(name)];
      if (name === "q" || [...field.options].some((option) => option.value === value)) field.value = value;
    }
    const sort = (values.get("sort") || "-" + DEFAULT_SORT).split("-");
    if (this.sorts.has(sort.at(-1))) Object.assign(this, { sort: sort.at(-1), down: sort.length > 1 });
    this.page = (Number.parseInt(values.get("page"), 10) || 1) - 1;
  }
}

// Leads are named in several tables; each name opens the lead.
function startOpening() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".lead-link");
    if (!link) return;
    const { target, entity } = link.dataset;
    link.focus();
    location.hash = `lead=${encodeURIComponent(target)}/${encodeURIComponent(entity)}`;
    link.dispatchEvent(new CustomEvent("open-lead", { detail: { target, entity }, bubbles: true }));
  });
}

// The list, for those who need its rows; null on a page without one.
async function startLeads() {
  startOpening();
  const columns = await readColumns("leads");
  const table = document.getElementById("leads");
  if (!columns || !table) return null;
  return new LeadList(new LeadData(columns), table, document.getElementById("lead-filters"));
}
