// The table of base models: search, filter, sort, pages. And sorting of the other tables.

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function compare(a, b) {
  if (typeof a === "string") return collator.compare(a, b);
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
  return a - b;
}

// Puts a button into each header cell. The first click on numbers sorts the largest first.
function sortButtons(headers, onSort) {
  headers.forEach((header, at) => {
    const button = element("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    const first = header.classList.contains("number") ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    button.addEventListener("click", () => {
      const order = header.getAttribute("aria-sort") === first ? other : first;
      markSorted(headers, header, order);
      onSort(at, order);
    });
  });
}

function markSorted(headers, header, order) {
  headers.forEach((each) => each.removeAttribute("aria-sort"));
  header.setAttribute("aria-sort", order);
}

function makeSortable(table) {
  const body = table.tBodies[0];
  sortButtons([...table.tHead.rows[0].cells], (at, order) => {
    const value = (row) => {
      const cell = row.cells[at];
      return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
    };
    const rows = [...body.rows].sort((a, b) => compare(value(a), value(b)));
    body.append(...(order === "descending" ? rows.reverse() : rows));
  });
}

class BaseModelTable {
  constructor(table, onChoose) {
    this.table = table;
    this.onChoose = onChoose;
    this.horizon = data.months;
    this.words = [];
    this.filters = {};
    this.key = "observed";
    this.order = "descending";
    this.page = 0;
    this.pageSize = 25;
    this.chosen = null;
    const headers = [...table.tHead.rows[0].cells];
    sortButtons(headers, (at, order) => {
      this.key = headers[at].dataset.key;
      this.order = order;
      this.page = 0;
      this.refresh();
    });
    const start = headers.find((header) => header.dataset.key === this.key);
    markSorted(headers, start, this.order);
  }

  value(model) {
    const at = this.horizon - 1;
    switch (this.key) {
      case "median":
        return model.forecast.median[at];
      case "new":
        return model.forecast.median[at] - model.observed;
      case "upper":
        return model.forecast.upper_80[at];
      default:
        return model[this.key];
    }
  }

  search(text) {
    this.words = text.toLowerCase().split(/\s+/).filter(Boolean);
    this.page = 0;
    this.refresh();
  }

  filter(key, wanted) {
    this.filters[key] = wanted;
    this.page = 0;
    this.refresh();
  }

  refresh() {
    const wanted = Object.entries(this.filters).filter(([, value]) => value !== "");
    const found = baseModels.filter(
      (model) =>
        this.words.every((word) => model.searched.includes(word)) &&
        wanted.every(([key, value]) => model[key] === value),
    );
    const sign = this.order === "descending" ? -1 : 1;
    found.sort((a, b) => sign * compare(this.value(a), this.value(b)) || a.index - b.index);
    this.found = found;
    this.pages = Math.max(1, Math.ceil(found.length / this.pageSize));
    this.page = Math.min(this.page, this.pages - 1);
    this.draw();
  }

  // Turns to the page that the base model stands on, if the search and the filters let it in.
  turnTo(model) {
    const at = this.found.indexOf(model);
    if (at >= 0) this.page = Math.floor(at / this.pageSize);
    this.chosen = model;
    this.draw();
  }

  draw() {
    const first = this.page * this.pageSize;
    const shown = this.found.slice(first, first + this.pageSize);
    this.table.tBodies[0].replaceChildren(...shown.map((model) => this.row(model)));
    const range = shown.length
      ? `, rows ${whole.format(first + 1)} to ${whole.format(first + shown.length)} shown`
      : "";
    document.getElementById("status").textContent =
      `${whole.format(this.found.length)} of ${whole.format(baseModels.length)} base models${range}.`;
    document.getElementById("page").textContent =
      `Page ${whole.format(this.page + 1)} of ${whole.format(this.pages)}`;
    document.getElementById("previous").disabled = this.page === 0;
    document.getElementById("next").disabled = this.page >= this.pages - 1;
  }

  row(model) {
    const at = this.horizon - 1;
    const median = model.forecast.median[at];
    const row = element("tr");
    if (model === this.chosen) row.setAttribute("aria-current", "true");
    const name = element("th");
    name.scope = "row";
    const button = element("button", model.name, "name");
    button.type = "button";
    button.addEventListener("click", () => this.onChoose(model));
    name.append(button);
    row.append(
      name,
      element("td", model.organization, "name wide"),
      element("td", model.created, "extra"),
      element("td", whole.format(model.age), "number wide"),
      element("td", whole.format(model.observed), "number"),
      element("td", whole.format(median), "number"),
      element("td", whole.format(median - model.observed), "number extra"),
      element("td", interval(model, 80, at), "number interval"),
      element("td", model.verdict, "verdict"),
    );
    return row;
  }
}
