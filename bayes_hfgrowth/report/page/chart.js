// The fan chart of one base model, and the tables beside it.

const LOWEST = 0.5; // stands for 0 on a logarithmic axis, below its lower end

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Opacities of the bands, widest first; they lie on one another.
const SHADES = [0.18, 0.39, 0.6];

function withAlpha(hex, alpha) {
  const part = (at) => parseInt(hex.slice(at, at + 2), 16);
  return `rgba(${part(1)}, ${part(3)}, ${part(5)}, ${alpha})`;
}

function fanTraces(model, horizon, scale, time) {
  const model_colour = colour("--model");
  const ends = monthEnds(model);
  const times = time === "date" ? ends : ends.map((_, month) => month);
  const shown = (values) =>
    scale === "log" ? values.map((value) => (value > 0 ? value : LOWEST)) : values;
  const past = times.slice(0, model.age + 1);
  const ahead = times.slice(model.age, model.age + horizon + 1);
  const series = (name) => [model.observed, ...model.forecast[name].slice(0, horizon)];
  const traces = [];
  [...data.levels].reverse().forEach((level, at) => {
    const fill = withAlpha(model_colour, SHADES[at]);
    const edge = { x: ahead, mode: "lines", line: { width: 0 }, hoverinfo: "skip" };
    traces.push({ ...edge, y: shown(series(`lower_${level}`)), showlegend: false });
    traces.push({
      ...edge,
      y: shown(series(`upper_${level}`)),
      fill: "tonexty",
      fillcolor: fill,
      name: `${level}% interval`,
      legendrank: 1010 - at,
    });
  });
  const texts = ahead.map((_, step) => {
    const month = model.age + step;
    const head = `${ends[month]}, ${whole.format(month)} months old`;
    if (step === 0) return `${head}<br>${whole.format(model.observed)} observed`;
    const lines = data.levels.map((level) => `${level}%: ${interval(model, level, step - 1)}`);
    return `${head}<br>median ${whole.format(model.forecast.median[step - 1])}<br>${lines.join("<br>")}`;
  });
  traces.push({
    x: ahead,
    y: shown(series("median")),
    mode: "lines",
    line: { color: model_colour, width: 2 },
    name: "median forecast",
    legendrank: 1001,
    text: texts,
    hoverinfo: "text",
  });
  const counts = observedCounts(model);
  traces.push({
    x: past,
    y: shown(counts),
    mode: "lines+markers",
    line: { color: colour("--observed"), width: 1.2 },
    marker: { color: colour("--observed"), size: 5 },
    name: "observed",
    legendrank: 1000,
    text: counts.map(
      (count, month) =>
        `${ends[month]}, ${whole.format(month)} months old<br>${whole.format(count)} observed`,
    ),
    hoverinfo: "text",
  });
  if (model.raw.surges.length) {
    traces.push({
      x: model.raw.surges.map((month) => times[month]),
      y: model.raw.surges.map((month) => shown(counts)[month]),
      mode: "markers",
      marker: { color: colour("--surge"), size: 10, symbol: "diamond" },
      name: "surge",
      legendrank: 1000,
      hoverinfo: "skip",
    });
  }
  return traces;
}

function fanLayout(model, horizon, scale, time) {
  const ink = colour("--ink");
  const grid = colour("--line");
  const top = Math.max(1, model.observed, model.forecast.upper_95[horizon - 1]);
  const axis = { gridcolor: grid, linecolor: grid, zeroline: false, automargin: true };
  return {
    margin: { l: 60, r: 12, t: 10, b: 45 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink, size: 13 },
    hoverlabel: { bgcolor: colour("--raised"), bordercolor: grid, font: { color: ink } },
    hovermode: "closest",
    hoverdistance: 40,
    dragmode: false, // so that a finger scrolls the page
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    xaxis: {
      ...axis,
      title: { text: time === "date" ? "End of month" : "Age of the base model (months)" },
      type: time === "date" ? "date" : "linear",
    },
    yaxis: {
      ...axis,
      title: { text: `Cumulative ${counted()}` },
      type: scale === "log" ? "log" : "linear",
      range: scale === "log" ? [Math.log10(0.8), Math.log10(1.3 * top + 1)] : [0, 1.05 * top],
      exponentformat: "none",
      separatethousands: true,
      dtick: scale === "log" ? 1 : null,
    },
  };
}

// What is counted, in words.
const counted = () => document.getElementById("chart").dataset.counted;

function drawChart(model, horizon, scale, time) {
  const chart = document.getElementById("chart");
  Plotly.react(chart, fanTraces(model, horizon, scale, time), fanLayout(model, horizon, scale, time), {
    responsive: true,
    displaylogo: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    toImageButtonOptions: { format: "png", filename: "fan_chart", scale: 2 },
  });
}

function drawSummary(model, horizon) {
  const at = horizon - 1;
  const ends = monthEnds(model);
  const months = horizon === 1 ? "1 month" : `${whole.format(horizon)} months`;
  document.getElementById("chosen-name").textContent = model.name;
  document.getElementById("chosen-summary").textContent =
    `${model.organization}. ${whole.format(model.observed)} ${counted()} by ${ends[model.age]}, ` +
    `at an age of ${whole.format(model.age)} months. In ${months}, by ${ends[model.age + horizon]}: ` +
    `median ${whole.format(model.forecast.median[at])}; with a probability of 80%, ` +
    `${interval(model, 80, at)}.`;
}

function drawVerdict(model) {
  document.getElementById("chosen-verdict").textContent = model.verdict;
  const [meaning, ...remarks] = model.raw.remarks;
  document.getElementById("chosen-meaning").textContent = meaning;
  const lines = remarks.map((remark) => element("li", remark));
  document.getElementById("chosen-remarks").replaceChildren(...lines);
}

function drawForecastTable(model) {
  const ends = monthEnds(model);
  const rows = model.forecast.median.map((median, at) => {
    const row = element("tr");
    const horizon = element("th", whole.format(at + 1), "number");
    horizon.scope = "row";
    row.append(
      horizon,
      element("td", ends[model.age + at + 1], "date"),
      element("td", whole.format(median), "number"),
      element("td", tenths.format(model.forecast.mean[at]), "number"),
      ...data.levels.map((level) => element("td", interval(model, level, at), "number")),
    );
    return row;
  });
  document.getElementById("chosen-forecast").tBodies[0].replaceChildren(...rows);
}

function drawGrowthTable(model) {
  const names = ["Fitness", "Immediacy (log-months)", "Longevity (log-months)"];
  const rows = names.map((name, at) => {
    const [median, lower, upper] = model.raw.growth.slice(3 * at, 3 * at + 3);
    const row = element("tr");
    const head = element("th", name);
    head.scope = "row";
    const range = `${digits.format(lower)} to ${digits.format(upper)}`;
    row.append(head, element("td", digits.format(median), "number"), element("td", range, "number"));
    return row;
  });
  document.getElementById("chosen-growth").tBodies[0].replaceChildren(...rows);
}
