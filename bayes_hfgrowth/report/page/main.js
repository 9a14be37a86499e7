// What happens when the page opens, and when someone does something.

const find = (id) => document.getElementById(id);
const table = new BaseModelTable(find("base-model-table"), (model) => choose(model, true));
const checked = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

function redraw() {
  drawChart(table.chosen, table.horizon, checked("scale"), checked("time"));
}

function choose(model, byHand) {
  table.turnTo(model);
  drawSummary(model, table.horizon);
  drawVerdict(model);
  drawForecastTable(model);
  drawGrowthTable(model);
  redraw();
  if (!byHand) return;
  history.replaceState(null, "", `#base-model=${encodeURIComponent(model.name)}`);
  find("chosen-name").focus({ preventScroll: true });
  find("chosen").scrollIntoView({ block: "nearest" });
}

// The base model that the address names, as in #base-model=google%2Fgemma-2b
function named() {
  const [key, value] = location.hash.slice(1).split("=");
  if (key !== "base-model" || !value) return undefined;
  try {
    const name = decodeURIComponent(value);
    return baseModels.find((model) => model.name === name);
  } catch {
    return undefined; // not an address that this page wrote
  }
}

function controls() {
  const organizations = [...data.organizations].sort(collator.compare);
  options(find("organization-filter"), ["all", ...organizations], ["", ...organizations]);
  options(find("verdict-filter"), ["all", ...data.verdicts], ["", ...data.verdicts]);
  const horizons = Array.from({ length: data.months }, (_, at) => String(at + 1));
  options(find("horizon"), horizons);
  find("horizon").value = String(data.months);

  find("search").addEventListener("input", (event) => table.search(event.target.value));
  find("organization-filter").addEventListener("change", (event) =>
    table.filter("organization", event.target.value),
  );
  find("verdict-filter").addEventListener("change", (event) =>
    table.filter("verdict", event.target.value),
  );
  find("horizon").addEventListener("change", (event) => {
    table.horizon = Number(event.target.value);
    table.refresh();
    drawSummary(table.chosen, table.horizon);
    redraw();
  });
  find("previous").addEventListener("click", () => {
    table.page -= 1;
    table.draw();
  });
  find("next").addEventListener("click", () => {
    table.page += 1;
    table.draw();
  });
  find("page-size").addEventListener("change", (event) => {
    table.pageSize = Number(event.target.value);
    table.page = 0;
    table.refresh();
  });
  document.querySelectorAll("form").forEach((form) =>
    form.addEventListener("submit", (event) => event.preventDefault()),
  );
  find("axes").addEventListener("change", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("hashchange", () => {
    const model = named();
    if (model) choose(model, true);
  });
}

// Probabilities as the comparison writes them: never a certainty from a finite number of draws.
function probability(value) {
  if (value < 0.005) return "< 0.01";
  return value >= 0.995 ? "> 0.99" : value.toFixed(2);
}

function drawPairs(quantity) {
  const { organizations } = data.comparison;
  find("pairs-statement").textContent =
    `Each cell is the probability that ` +
    `${quantity.larger.replace("{first}", "the row's organization").replace("{second}", "the column's")}.`;
  const head = element("tr");
  head.append(element("td"));
  organizations.forEach((name) => {
    const cell = element("th", name, "name");
    cell.scope = "col";
    head.append(cell);
  });
  find("pairs").tHead.replaceChildren(head);
  const rows = organizations.map((name, i) => {
    const row = element("tr");
    const first = element("th", name, "name");
    first.scope = "row";
    const cells = quantity.probabilities[i].map((value) => {
      const cell = element("td", value === null ? "-" : probability(value));
      if (value !== null) cell.style.setProperty("--p", value);
      return cell;
    });
    row.append(first, ...cells);
    return row;
  });
  find("pairs").tBodies[0].replaceChildren(...rows);
  drawRanks(quantity);
}

function drawRanks(quantity) {
  const rows = quantity.ranks.map(([median, lower, upper, largest, smallest], at) => {
    const row = element("tr");
    const name = element("th", data.comparison.organizations[at], "name");
    name.scope = "row";
    const texts = [median, `${lower} to ${upper}`, probability(largest), probability(smallest)];
    row.append(name, ...texts.map((text) => element("td", text, "number")));
    return [median, row];
  });
  rows.sort(([a], [b]) => a - b);
  find("ranks").tBodies[0].replaceChildren(...rows.map(([, row]) => row));
}

function pairs() {
  const { quantities } = data.comparison;
  options(find("pairs-quantity"), quantities.map((quantity) => quantity.label), quantities.map((_, at) => at));
  find("pairs-quantity").addEventListener("change", (event) => drawPairs(quantities[event.target.value]));
  drawPairs(quantities[0]);
}

controls();
table.refresh();
choose(named() ?? table.found[0], false);
if (data.comparison) pairs();
document.querySelectorAll("table.sortable").forEach(makeSortable);
