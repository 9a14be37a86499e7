// Numbers of the report: read once, and written the way people read them.

const data = JSON.parse(document.getElementById("report-data").textContent);

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const digits = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });

const isoDay = (day) => new Date(day * 86400000).toISOString().slice(0, 10);

function running(differences, start = 0) {
  let sum = start;
  return differences.map((difference) => (sum += difference));
}

function readBaseModel(raw, index) {
  const age = raw.new.length;
  const observed = raw.new.reduce((sum, value) => sum + value, 0);
  const forecast = {};
  data.series.forEach((name, at) => {
    const scale = name === "mean" ? data.mean_scale : 1;
    const values = running(raw.forecast[at], observed * scale);
    forecast[name] = scale === 1 ? values : values.map((value) => value / scale);
  });
  const organization = data.organizations[raw.organization];
  return {
    index,
    name: raw.name,
    organization,
    verdict: data.verdicts[raw.verdict],
    searched: `${raw.name} ${organization}`.toLowerCase(),
    created: isoDay(raw.days[0]),
    age,
    observed,
    raw,
    forecast,
  };
}

const baseModels = data.base_models.map(readBaseModel);

// Days on which the months 0, 1, 2, ... of age end, to the last horizon.
const monthEnds = (model) => running(model.raw.days).map(isoDay);

// Cumulative count at the end of each observed month, from birth on.
const observedCounts = (model) => [0, ...running(model.raw.new)];

const interval = (model, level, at) =>
  `${whole.format(model.forecast[`lower_${level}`][at])} to ` +
  `${whole.format(model.forecast[`upper_${level}`][at])}`;

function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function options(select, texts, values = texts) {
  texts.forEach((text, at) => {
    const option = element("option", text);
    option.value = values[at];
    select.append(option);
  });
}
